"""Any photo a person may hand over, as the stored square the net was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from torch import Tensor

from alexnet.data.decode import Pixels, decode, in_channels, rgb
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import pad, shrink, to_square, warp
from alexnet.errors import CommandError
from alexnet.evaluation.views import Look

Photo: TypeAlias = "str | Path | bytes | Image.Image | npt.NDArray[np.uint8] | Tensor"
"""A file's path, or its contents; or pixels."""

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Names of photos end in one of these, in either case."""


def photos_in(folder: Path) -> list[Path]:
    """All photos below a folder by their names, sorted; hidden files and folders are left out."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(file for file in files if not _hidden(file.relative_to(folder)))


def to_stored_square(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(side, side, C): resized as the net's training photos were, grey where they were.

    A square of that side is not resized. Where training photos were padded, one larger than any of them is
    shrunk to their size first.
    """
    resized, side = preprocessing.resized, preprocessing.side
    pixels = in_channels(pixels, preprocessing.data.channels)
    if pixels.shape[:2] == (side, side):
        return pixels
    if resized["resize"] == "pad":
        return pad(shrink(pixels, int(resized["picture"]), resized["resampling"]), side)
    return (warp if resized["resize"] == "warp" else to_square)(pixels, side, resized["resampling"])


def enlargement(pixels: Pixels, preprocessing: Preprocessing) -> float:
    """How many times `to_stored_square` enlarges the shorter side; never where photos are padded."""
    padded = preprocessing.resized["resize"] == "pad"
    return 1 if padded else preprocessing.side / min(pixels.shape[:2])


def seen(pixels: Pixels, preprocessing: Preprocessing, looks: Sequence[Look]) -> list[Pixels]:
    """What each look sees of a photo, (H, W, C), at its scale.

    Where the net's training photos were not cropped to squares but warped or padded, the photo is such a
    square too.
    """
    resized = preprocessing.resized
    cropped = resized["resize"] == "crop"
    channels = preprocessing.data.channels
    picture = in_channels(pixels, channels) if cropped else to_stored_square(pixels, preprocessing)
    return [look.seen(picture, resized["resampling"]) for look in looks]


def pixels_of(photo: Photo) -> Pixels:
    """(H, W, 3) uint8 RGB, turned upright as its camera noted.

    CommandError for a missing file or an array of another form; UnreadableImage for a file without a photo.
    """
    if isinstance(photo, str | Path | bytes):
        return decode(photo if isinstance(photo, bytes) else _read(Path(photo)), exif=True)
    if isinstance(photo, Image.Image):
        return rgb(ImageOps.exif_transpose(photo))
    return _checked(photo)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _checked(photo: npt.NDArray[np.uint8] | Tensor) -> Pixels:
    array = np.asarray(photo.cpu() if isinstance(photo, Tensor) else photo)
    if array.ndim == 2:
        array = array[:, :, None]
    counts = (1, 3)
    planes = array.ndim == 3 and array.shape[0] in counts and array.shape[2] not in counts
    if isinstance(photo, Tensor) and planes:
        array = array.transpose(1, 2, 0)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in counts:
        raise CommandError(f"a photo must be uint8 (H, W, 3) or (H, W), got {array.dtype} {array.shape}")
    return cast(Pixels, np.array(np.broadcast_to(array, (*array.shape[:2], 3)), order="C"))
