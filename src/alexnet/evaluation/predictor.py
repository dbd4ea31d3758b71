"""Any photo a person may hand over, as the stored square the net was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.crops import center, default_views
from alexnet.data.decode import PHOTO_SUFFIXES, Pixels, decode, in_channels, rgb
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import pad, shrink, to_square, warp
from alexnet.errors import AlexNetError, CommandError
from alexnet.evaluation.inference import SQUARES_AT_ONCE, groups, images_at_once, score, testing
from alexnet.evaluation.views import Look, looks_for, sizes_seen
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.runs.run_dir import find_weights

Photo: TypeAlias = "str | Path | bytes | Image.Image | npt.NDArray[np.uint8] | Tensor"
"""A file's path, or its contents; or pixels."""


def photos_in(folder: Path) -> list[Path]:
    """All photos below a folder by their names, sorted; hidden files and folders are left out."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file())
    return sorted(file for file in files if not _hidden(file.relative_to(folder)))


def to_stored_square(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """(side, side, C): resized as the net's training photos were, gray where they were.

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


Answer: TypeAlias = tuple[str, str, float]
"""(WNID, name, probability)."""
Found = TypeVar("Found")


class Classifier:
    """A trained net with all it needs to look at a photo: its preprocessing and its classes' names.

    Photos are paths, files' bytes, PIL images, uint8 arrays (H, W, 3) or uint8 tensors (H, W, 3) or
    (3, H, W), in RGB, or gray with one channel for three or as (H, W), and of any size; each is resized as
    the photos were that the net was trained on. An answer does not depend on the other photos of a call but
    for rounding.
    """

    def __init__(self, loaded: ModelBundle, squares_at_once: int = SQUARES_AT_ONCE) -> None:
        """`squares_at_once`: most squares (photos x views) in one pass; bounds the memory."""
        self._loaded = loaded
        self._squares_at_once = squares_at_once

    @property
    def net(self) -> ModelBundle:
        """All that was loaded."""
        return self._loaded

    @property
    def model(self) -> torch.nn.Module:
        """The net itself, in evaluation mode."""
        return self._loaded.model

    @property
    def classes(self) -> list[Class]:
        """In label order."""
        return self._loaded.classes

    @property
    def config(self) -> RunConfig:
        """Of the run that trained it."""
        return self._loaded.config

    @property
    def preprocessing(self) -> Preprocessing:
        """From stored squares to the net's input."""
        return self._loaded.preprocessing

    @property
    def terms(self) -> dict[str, str]:
        """Licenses of code and weights, and the terms of the data: what may be done with it."""
        return self._loaded.terms

    @property
    def provenance(self) -> dict[str, Any]:
        """Which run it was and what errors it has; empty where it is not from an exported file."""
        return self._loaded.provenance

    def classify(
        self, images: Photo | Sequence[Photo], views: str = "", top: int = 5, scales: Sequence[int] = ()
    ) -> list[list[Answer]]:
        """For each photo its `top` most probable classes, the most probable first (equals in label order).

        `views` and `scales` are as for `probabilities`. UnreadableImage for a file without a photo;
        CommandError for views that do not exist or that the net cannot be shown.
        """
        return [_raised(answers) for answers in self.attempt(images, views, top, scales)]

    def attempt(
        self, images: Photo | Sequence[Photo], views: str = "", top: int = 5, scales: Sequence[int] = ()
    ) -> list[list[Answer] | AlexNetError]:
        """As `classify`, with the error in place of the answers for a photo that cannot be read."""
        if top < 1:
            raise CommandError(f"top must be at least 1, got {top}")
        rows = self._rows(_as_list(images), self._looks(views, scales))
        return [row if isinstance(row, AlexNetError) else self._answers(row, top) for row in rows]

    def probabilities(
        self, images: Photo | Sequence[Photo], views: str = "", scales: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        """(N, K): softmax averaged over the views; rows sum to 1, columns are `classes`.

        `views` are a name of `evaluation.views.VIEWS`; empty is what `default_views` gives. `scales`
        are the shorter sides in pixels that photos are resized to; empty are the net's own.
        """
        rows = list(map(_raised, self._rows(_as_list(images), self._looks(views, scales))))
        return np.stack(rows) if rows else np.empty((0, len(self.classes)), np.float32)

    def features(self, images: Photo | Sequence[Photo], layer: str = "fc7") -> npt.NDArray[np.float32]:
        """(N, D) what a layer says about the central view, flattened: (N, 4096) for `fc7`.

        CommandError names the layers there are.
        """
        positions = center(self.preprocessing.side, self.preprocessing.crop)
        rows: list[npt.NDArray[np.float32]] = []
        for squares in self._squares(images, self._squares_at_once):
            with testing(self.model) as device:
                inputs = self.preprocessing.test_input(squares.to(device), positions)
                activations: dict[str, Tensor] = self.model.activations(inputs)  # pyright: ignore[reportCallIssue]
            if layer not in activations:
                raise CommandError(f"no layer {layer!r}; there are {', '.join(activations)}")
            rows.append(activations[layer].flatten(1).float().cpu().numpy())
        return np.concatenate(rows) if rows else np.empty((0, 0), np.float32)

    def _answers(self, row: npt.NDArray[np.float32], top: int) -> list[Answer]:
        best = np.argsort(-row, kind="stable")[:top]
        return [(self.classes[i].wnid, self.classes[i].name, float(row[i])) for i in best]

    def _looks(self, views: str, scales: Sequence[int]) -> tuple[Look, ...]:
        return looks_for(self._loaded, views or default_views(self.preprocessing.data.mirror), scales)

    def _rows(
        self, photos: list[Photo], looks: tuple[Look, ...]
    ) -> Iterator[npt.NDArray[np.float32] | AlexNetError]:
        """(K,) for each photo, or why it could not be read; as many are held at once as make a pass."""
        side, crop = self.preprocessing.side, self.preprocessing.crop
        count = images_at_once(looks, sizes_seen(looks, (side, side)), crop, self._squares_at_once)
        for start in range(0, len(photos), count):
            read = [self._read(photo, looks) for photo in photos[start : start + count]]
            yield from self._scored(read, looks)

    def _read(self, photo: Photo, looks: tuple[Look, ...]) -> list[Pixels] | AlexNetError:
        """What each look sees of a photo, or why it could not be read."""
        try:
            return seen(pixels_of(photo), self.preprocessing, looks)
        except AlexNetError as error:
            return error

    def _scored(
        self, read: list[list[Pixels] | AlexNetError], looks: tuple[Look, ...]
    ) -> list[npt.NDArray[np.float32] | AlexNetError]:
        rows = [each if isinstance(each, AlexNetError) else np.empty(0, np.float32) for each in read]
        readable = [(place, each) for place, each in enumerate(read) if not isinstance(each, AlexNetError)]
        items = [(tuple(image.shape[:2] for image in each), (place, each)) for place, each in readable]
        for group in groups(items, looks, self.preprocessing.crop, self._squares_at_once):
            images = zip(*(each for _, each in group), strict=True)
            scored = score(self._loaded, looks, [torch.from_numpy(np.stack(each)) for each in images])
            for (place, _), row in zip(group, scored, strict=True):
                rows[place] = row
        return rows

    def _squares(self, images: Photo | Sequence[Photo], count: int) -> Iterator[Tensor]:
        """uint8 (n, side, side, C), n at most `count`."""
        photos = _as_list(images)
        for start in range(0, len(photos), count):
            squares = [
                to_stored_square(pixels_of(photo), self.preprocessing)
                for photo in photos[start : start + count]
            ]
            yield torch.from_numpy(np.stack(squares))


def load(path: str | Path, device: str | torch.device = "auto") -> Classifier:
    """The classifier of a run folder (its last checkpoint) or of an exported file.

    `device` is `auto` (a GPU where there is one), or anything torch takes. CommandError where there is
    nothing to load; DataError where the file is broken, newer than this program, or not a model file.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Classifier(bundle.load(find_weights(Path(path)), device))


def _raised(found: Found | AlexNetError) -> Found:
    if isinstance(found, AlexNetError):
        raise found
    return found


def _as_list(images: Photo | Sequence[Photo]) -> list[Photo]:
    """One photo becomes a list of one; an array or tensor of four dimensions is many."""
    if isinstance(images, np.ndarray | Tensor):
        return list(images) if images.ndim == 4 else [images]
    return [images] if isinstance(images, str | Path | bytes | Image.Image) else list(images)
