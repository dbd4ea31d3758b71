"""Photos from outside a store: paths, folders, addresses, encoded bytes, PIL images, arrays and tensors."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from alexnet import __version__
from alexnet.data.decode import PHOTO_SUFFIXES, Pixels, check_size, decode, orientation_of, rgb, turn_pixels
from alexnet.data.remote import is_address, is_web_file, local_source
from alexnet.data.sources.tree import open_folder, read_file
from alexnet.errors import CommandError, DataError, NotFound, WorkError
from alexnet.text import sized

Photo: TypeAlias = "str | Path | bytes | Image.Image | npt.NDArray[np.uint8] | Tensor"
"""The path or the address of a file, its contents, or pixels."""
MOST_BYTES = 64 * 2**20
"""Of a photo at an address."""
_TIMEOUT_SECONDS = 20.0
"""For the connection, and for each part of the answer."""
_MOST_SECONDS = 120.0
"""For the whole photo."""
_BLOCK_BYTES = 2**16


def find_photos(folder: Path) -> list[Path]:
    """All photos below a folder, recognized by their names, sorted; hidden files and folders are left out.

    DataError if a folder cannot be listed.
    """
    listing = open_folder(folder).listing
    files = (Path(listing.path(file)) for file in listing.ending_in(*PHOTO_SUFFIXES))
    return sorted(folder / file for file in files if not _is_hidden(file))


def list_photos(photos: Photo | Sequence[Photo]) -> list[Photo]:
    """One photo becomes a list of one, a folder its photos (`find_photos`), and an array or tensor of four
    dimensions many photos.

    Files at addresses such as `s3://bucket/photos` are fetched (see `remote.local_source`), except single
    ones of http(s), which are read when they are needed. NotFound for a folder without photos.
    """
    if isinstance(photos, np.ndarray | Tensor):
        return list(photos) if photos.ndim == 4 else [photos]
    given = [photos] if isinstance(photos, str | Path | bytes | Image.Image) else list(photos)
    listed: list[Photo] = []
    for each in given:
        photo = each
        if isinstance(each, str) and is_address(each) and not is_web_file(each):
            photo = local_source(each)
        # Path.is_dir raises errors of the system, such as for a name that is too long.
        if isinstance(photo, str | Path) and not is_web_file(photo) and os.path.isdir(photo):  # noqa: PTH112
            within = find_photos(Path(photo))
            if not within:
                raise NotFound(f"{photo} has no photos ({', '.join(PHOTO_SUFFIXES)})")
            listed.extend(within)
        else:
            listed.append(photo)
    return listed


def pixels_of(photo: Photo) -> Pixels:
    """(H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    NotFound for a missing file, CommandError for an array of another form, DataError for a file that cannot
    be read, WorkError for an address that cannot; UnreadableImage for a file without a photo, and for an
    extreme size or shape.
    """
    if isinstance(photo, str | Path | bytes):
        return decode(photo if isinstance(photo, bytes) else _read(photo), exif=True)
    if isinstance(photo, Image.Image):
        check_size(*photo.size)
        return turn_pixels(rgb(photo), orientation_of(photo))
    return _checked(photo)


def _read(photo: str | Path) -> bytes:
    if isinstance(photo, str) and is_web_file(photo):
        return download(photo)
    try:
        Path(photo).lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise NotFound(f"no such photo: {photo}") from None
    except OSError as error:
        raise DataError(f"cannot read {photo}: {error.strerror}") from error
    return read_file(Path(photo))


def download(address: str, most_bytes: int = MOST_BYTES) -> bytes:
    """The contents of the file at an http(s) address.

    NotFound if there is none, DataError if it has more than `most_bytes`, WorkError if it cannot be read
    within two minutes.
    """
    deadline = monotonic() + _MOST_SECONDS
    try:
        request = urllib.request.Request(address, headers={"User-Agent": f"alexnet/{__version__}"})
        with _opener().open(request, timeout=_TIMEOUT_SECONDS) as response:
            parts, received = list[bytes](), 0
            while block := response.read1(_BLOCK_BYTES):
                parts.append(block)
                received += len(block)
                if received > most_bytes:
                    raise DataError(f"{address} has more than {sized(most_bytes)}: download it yourself")
                if monotonic() > deadline:
                    raise TimeoutError(f"not finished after {_MOST_SECONDS:.0f} s")
            expected = response.headers["Content-Length"]
            if expected is not None and expected.isdecimal() and received < int(expected):
                raise ConnectionError(f"the connection was lost after {sized(received)}")
            return b"".join(parts)
    except DataError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise NotFound(f"no such photo: {address} ({error.code} {error.reason})") from None
        raise WorkError(f"{address} cannot be read ({error.code} {error.reason})") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise WorkError(f"{address} cannot be read ({reason})") from error


def _opener() -> Any:
    """Follows redirections to http and https only."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _is_hidden(path: Path) -> bool:
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
        scale = "; of values in 0..1, pass (255 * array).round() as uint8" if array.dtype.kind == "f" else ""
        raise CommandError(
            f"a photo must be uint8 (H, W, 3) or (H, W), got {array.dtype} {tuple(photo.shape)}{scale}"
        )
    check_size(array.shape[1], array.shape[0])
    return cast(Pixels, np.array(np.broadcast_to(array, (*array.shape[:2], 3)), order="C"))
