"""Synthetic data sets: a learnable problem in real JPEG files, in ILSVRC's layout or in class folders."""

from __future__ import annotations

import itertools
import math
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from alexnet.data.classes import Class
from alexnet.data.ilsvrc_writer import write_devkit, write_flat_tar, write_train_tar
from alexnet.data.synthetic_images import SHAPES, TEXTURES, UNUSUAL_KINDS, draw_photo, encode_photo
from alexnet.errors import CommandError, WorkError
from alexnet.hardware import cpu_count

Layout = Literal["ilsvrc", "folder"]

MAX_CLASSES = len(SHAPES) * len(TEXTURES)
_TRAIN, _VAL, _SHUFFLE, _ODD, _TEST, _SHUFFLE_TEST = range(6)
"""Purposes of random numbers: each has its own stream."""
_UNFINISHED = ".unfinished"
_AHEAD = 64
"""Photos drawn ahead of the writer, at most: a few megabytes."""


class UnusualPhoto(NamedTuple):
    """A photo that is unusual on purpose."""

    kind: str
    """A key of `UNUSUAL_KINDS`."""
    name: str
    """`<WNID or class folder>/<file name>`."""


@dataclass(frozen=True)
class _Photo:
    """One photo to be drawn."""

    shape: str
    texture: str
    label: int
    folder: str
    """WNID or name of its class."""
    file: str
    seed: tuple[int, ...]
    odd: str = ""

    def data(self) -> bytes:
        """The encoded file."""
        random = np.random.default_rng(self.seed)
        photo = draw_photo(self.shape, self.texture, random)
        return encode_photo(photo, int(random.integers(75, 96)), self.odd)


_Draw = Callable[[Iterable[_Photo]], Iterator[bytes]]
"""Draws and encodes photos in parallel, in their order."""


def synthetic_classes(count: int) -> list[Class]:
    """`count` (2..100) classes in the order of their WNIDs (n9..., which WordNet does not use)."""
    return [Class(f"n9{shape:03d}{texture:04d}", _name(shape, texture)) for shape, texture in _pairs(count)]


def synthesize(
    folder: Path,
    *,
    classes: int = 10,
    train_per_class: int = 200,
    val_per_class: int = 50,
    layout: Layout = "ilsvrc",
    odd: bool = False,
    seed: int = 0,
    test: int = 0,
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> list[UnusualPhoto]:
    """Fills `folder`, which must be new or empty, with synthetic photos; returns the unusual ones.

    Layout `ilsvrc`: the tar of tars, the flat validation tar and the devkit, as ILSVRC-2012 publishes them,
    and a flat tar of `test` unlabeled photos. Layout `folder`: `train/<class name>/*.jpg` and
    `val/<class name>/*.jpg`. `odd` makes some training photos unusual (`UNUSUAL_KINDS`). `progress` is called
    with 1 for every photo. The same seed gives the same bytes for any number of workers (threads; default:
    one per core). CommandError if the folder is not empty, WorkError if it cannot be written. A killed run
    leaves only a subfolder, which the next run replaces.
    """
    synthetic = synthetic_classes(classes)
    train = _photos(synthetic, train_per_class, _TRAIN, seed, layout)
    val = _photos(synthetic, val_per_class, _VAL, seed, layout)
    test_photos = _test_photos(synthetic, test, seed, layout)
    if odd:
        train = _with_odd(train, seed)
    try:
        part = _claim(folder)
        with ThreadPoolExecutor(workers or cpu_count()) as pool:
            draw = _drawer(pool, progress or (lambda photos: None))
            if layout == "ilsvrc":
                _write_ilsvrc(part, synthetic, train, _shuffled(val, seed, _SHUFFLE), draw)
                if test_photos:
                    write_flat_tar(part, "test", draw(test_photos))
            else:
                _write_folders(part / "train", train, draw)
                _write_folders(part / "val", val, draw)
        for written in part.iterdir():
            written.rename(folder / written.name)
        part.rmdir()
    except OSError as error:
        raise WorkError(
            f"{folder} cannot be written ({error.strerror}): free some space or choose another folder"
        ) from error
    return [UnusualPhoto(photo.odd, f"{photo.folder}/{photo.file}") for photo in train if photo.odd]


def _pairs(count: int) -> list[tuple[int, int]]:
    """Sorted (shape, texture) indices: as few of either as possible, each about equally often."""
    if not 2 <= count <= MAX_CLASSES:
        raise CommandError(f"{count} classes are not possible: type 2 to {MAX_CLASSES}")
    side = math.ceil(math.sqrt(count))
    return sorted((number % side, (number + number // side) % side) for number in range(count))


def _name(shape: int, texture: int) -> str:
    return f"{list(TEXTURES)[texture]} {list(SHAPES)[shape]}"


def _photos(classes: list[Class], per_class: int, split: int, seed: int, layout: Layout) -> list[_Photo]:
    """All photos of a split, class by class."""
    if per_class < 1:
        raise CommandError(f"{per_class} photos per class are too few: type 1 or more")
    photos: list[_Photo] = []
    for label, (each, (shape, texture)) in enumerate(zip(classes, _pairs(len(classes)), strict=True)):
        names = list(SHAPES)[shape], list(TEXTURES)[texture]
        for number in range(1, per_class + 1):
            place = (each.wnid, f"{each.wnid}_{number}.JPEG")
            if layout == "folder":
                place = (each.name, f"{number:05d}.jpg")
            photos.append(_Photo(*names, label, *place, (seed, split, shape, texture, number)))
    return photos


def _test_photos(classes: list[Class], count: int, seed: int, layout: Layout) -> list[_Photo]:
    """`count` photos, about equally many of each class, shuffled."""
    if count < 0 or (count and layout != "ilsvrc"):
        raise CommandError(f"{count} test photos in layout {layout}: only layout ilsvrc has them, 0 or more")
    per_class = math.ceil(count / len(classes))
    photos = _photos(classes, per_class, _TEST, seed, layout) if count else []
    return _shuffled(photos, seed, _SHUFFLE_TEST)[:count]


def _shuffled(photos: list[_Photo], seed: int, purpose: int) -> list[_Photo]:
    return [photos[index] for index in np.random.default_rng((seed, purpose)).permutation(len(photos))]


def _with_odd(photos: list[_Photo], seed: int) -> list[_Photo]:
    """The same photos with some, chosen at random, made unusual."""
    kinds = [kind for kind, count in UNUSUAL_KINDS.items() for _ in range(count)]
    if len(photos) < len(kinds):
        raise CommandError(
            f"{len(photos)} training photos are too few for {len(kinds)} unusual ones: type more"
        )
    chosen = np.random.default_rng((seed, _ODD)).permutation(len(photos))[: len(kinds)]
    odd = dict(zip(chosen.tolist(), kinds, strict=True))
    return [replace(photo, odd=odd.get(index, "")) for index, photo in enumerate(photos)]


def _claim(folder: Path) -> Path:
    """Makes the folder, which may hold only what a killed run left; returns the subfolder to write to."""
    part = folder / _UNFINISHED
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is a file: choose a new or empty folder")
    shutil.rmtree(part, ignore_errors=True)
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} is not empty: choose a new or empty folder")
    part.mkdir(parents=True)
    return part


def _drawer(pool: ThreadPoolExecutor, progress: Callable[[int], None]) -> _Draw:
    """Draws photos in threads ahead of the writer; numpy and Pillow release the global lock."""

    def draw(photos: Iterable[_Photo]) -> Iterator[bytes]:
        ahead: deque[Future[bytes]] = deque()
        for photo in photos:
            ahead.append(pool.submit(photo.data))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
                progress(1)
        while ahead:
            yield ahead.popleft().result()
            progress(1)

    return draw


def _write_ilsvrc(
    folder: Path, classes: list[Class], train: list[_Photo], val: list[_Photo], draw: _Draw
) -> None:
    by_class = itertools.groupby(train, key=lambda photo: photo.folder)
    write_train_tar(folder, ((wnid, _named(list(photos), draw)) for wnid, photos in by_class))
    write_flat_tar(folder, "val", draw(val))
    counts = Counter(photo.label for photo in train)
    write_devkit(
        folder, classes, [counts[label] for label in range(len(classes))], [photo.label for photo in val]
    )


def _write_folders(folder: Path, photos: list[_Photo], draw: _Draw) -> None:
    for photo, data in zip(photos, draw(photos), strict=True):
        target = folder / photo.folder
        target.mkdir(parents=True, exist_ok=True)
        (target / photo.file).write_bytes(data)


def _named(photos: list[_Photo], draw: _Draw) -> Iterator[tuple[str, bytes]]:
    return zip((photo.file for photo in photos), draw(photos), strict=True)
