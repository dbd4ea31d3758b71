"""Made-up photos: a real learning problem in real JPEG files, when there is no ImageNet at hand.

A class is a shape with a texture ("striped disc"). Among ten classes each shape and each texture comes two
or three times, so that neither alone tells them apart. A photo is a function of seed, split, class, number.
"""

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
from alexnet.data.odd_photos import ODD_KINDS, encode
from alexnet.data.synthetic_objects import SHAPES, TEXTURES
from alexnet.data.synthetic_photo import draw_photo
from alexnet.errors import CommandError, WorkError
from alexnet.machine import cores

Layout = Literal["ilsvrc", "folder"]

MOST_CLASSES = len(SHAPES) * len(TEXTURES)
_TRAIN, _VAL, _SHUFFLE, _ODD, _TEST, _SHUFFLE_TEST = range(6)
"""What random numbers are for, so that no two purposes share any."""
_UNFINISHED = ".unfinished"
_AHEAD = 64
"""Photos made but not yet written, at most: a few megabytes."""


class OddPhoto(NamedTuple):
    """A photo made odd on purpose."""

    kind: str
    """A key of `ODD_KINDS`."""
    name: str
    """`<WNID or class folder>/<file name>`."""


@dataclass(frozen=True)
class _Photo:
    """One photo to be made."""

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
        return encode(photo, int(random.integers(75, 96)), self.odd)


_Make = Callable[[Iterable[_Photo]], Iterator[bytes]]
"""Encodes photos in their order, many at once."""


def made_up_classes(count: int) -> list[Class]:
    """`count` (2..100) classes in label order, that of their WNIDs (n9..., which WordNet does not use)."""
    return [Class(f"n9{shape:03d}{texture:04d}", _name(shape, texture)) for shape, texture in _pairs(count)]


def synthesize(
    folder: Path,
    classes: int = 10,
    train_per_class: int = 200,
    val_per_class: int = 50,
    layout: Layout = "ilsvrc",
    odd: bool = False,
    seed: int = 0,
    test: int = 0,
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> list[OddPhoto]:
    """Fills `folder`, which must be new or empty, with made-up photos; returns those made odd on purpose.

    `ilsvrc`: the tar of tars, the flat validation tar and the development kit, as ILSVRC-2012 publishes them,
    and a flat tar of `test` photos, in all, that nobody tells the classes of.
    `folder`: `train/<class name>/*.jpg` and `val/<class name>/*.jpg`.
    `progress` is called with 1 for every photo. The same seed gives the same bytes for any number of workers
    (threads; default: one per core). CommandError where the folder holds something, WorkError where it cannot
    be written. A killed run leaves nothing in the folder but a part that the next run replaces.
    """
    made_up = made_up_classes(classes)
    train = _photos(made_up, train_per_class, _TRAIN, seed, layout)
    val = _photos(made_up, val_per_class, _VAL, seed, layout)
    hidden = _test_photos(made_up, test, seed, layout)
    if odd:
        train = _with_odd(train, seed)
    try:
        part = _claim(folder)
        with ThreadPoolExecutor(workers or cores()) as pool:
            make = _maker(pool, progress or (lambda photos: None))
            if layout == "ilsvrc":
                _write_ilsvrc(part, made_up, train, _shuffled(val, seed, _SHUFFLE), make)
                if hidden:
                    write_flat_tar(part, "test", make(hidden))
            else:
                _write_folders(part / "train", train, make)
                _write_folders(part / "val", val, make)
        for made in part.iterdir():
            made.rename(folder / made.name)
        part.rmdir()
    except OSError as error:
        raise WorkError(
            f"{folder} cannot be written ({error.strerror}): make room or name another folder"
        ) from error
    return [OddPhoto(photo.odd, f"{photo.folder}/{photo.file}") for photo in train if photo.odd]


def _pairs(count: int) -> list[tuple[int, int]]:
    """Sorted (shape, texture) numbers: as few of either as will do, each about equally often."""
    if not 2 <= count <= MOST_CLASSES:
        raise CommandError(f"{count} classes cannot be made up: ask for 2 to {MOST_CLASSES}")
    side = math.ceil(math.sqrt(count))
    return sorted((number % side, (number + number // side) % side) for number in range(count))


def _name(shape: int, texture: int) -> str:
    return f"{list(TEXTURES)[texture]} {list(SHAPES)[shape]}"


def _photos(classes: list[Class], per_class: int, split: int, seed: int, layout: Layout) -> list[_Photo]:
    """All photos of a split, class by class."""
    if per_class < 1:
        raise CommandError(f"{per_class} photos per class were asked for: ask for at least 1")
    photos: list[_Photo] = []
    for label, (made_up, (shape, texture)) in enumerate(zip(classes, _pairs(len(classes)), strict=True)):
        names = list(SHAPES)[shape], list(TEXTURES)[texture]
        for number in range(1, per_class + 1):
            place = (made_up.wnid, f"{made_up.wnid}_{number}.JPEG")
            if layout == "folder":
                place = (made_up.name, f"{number:05d}.jpg")
            photos.append(_Photo(*names, label, *place, (seed, split, shape, texture, number)))
    return photos


def _test_photos(classes: list[Class], count: int, seed: int, layout: Layout) -> list[_Photo]:
    """`count` photos of about equally many of each class, shuffled."""
    if count < 0 or (count and layout != "ilsvrc"):
        raise CommandError(f"{count} test photos in layout {layout}: only layout ilsvrc has any, 0 or more")
    per_class = math.ceil(count / len(classes))
    photos = _photos(classes, per_class, _TEST, seed, layout) if count else []
    return _shuffled(photos, seed, _SHUFFLE_TEST)[:count]


def _shuffled(photos: list[_Photo], seed: int, purpose: int) -> list[_Photo]:
    return [photos[index] for index in np.random.default_rng((seed, purpose)).permutation(len(photos))]


def _with_odd(photos: list[_Photo], seed: int) -> list[_Photo]:
    """The same photos, some of them, chosen at random, made odd."""
    kinds = [kind for kind, count in ODD_KINDS.items() for _ in range(count)]
    if len(photos) < len(kinds):
        raise CommandError(
            f"{len(photos)} training photos are too few for {len(kinds)} odd ones: ask for more"
        )
    chosen = np.random.default_rng((seed, _ODD)).permutation(len(photos))[: len(kinds)]
    odd = dict(zip(chosen.tolist(), kinds, strict=True))
    return [replace(photo, odd=odd.get(index, "")) for index, photo in enumerate(photos)]


def _claim(folder: Path) -> Path:
    """Makes the folder, which may hold no more than what a killed run left; returns where to write."""
    part = folder / _UNFINISHED
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is a file: name a new or empty folder")
    shutil.rmtree(part, ignore_errors=True)
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} is not empty: name a new or empty folder")
    part.mkdir(parents=True)
    return part


def _maker(pool: ThreadPoolExecutor, progress: Callable[[int], None]) -> _Make:
    """Photos are made a few ahead of the writer: numpy and Pillow let threads run side by side."""

    def make(photos: Iterable[_Photo]) -> Iterator[bytes]:
        ahead: deque[Future[bytes]] = deque()
        for photo in photos:
            ahead.append(pool.submit(photo.data))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
                progress(1)
        while ahead:
            yield ahead.popleft().result()
            progress(1)

    return make


def _write_ilsvrc(
    folder: Path, classes: list[Class], train: list[_Photo], val: list[_Photo], make: _Make
) -> None:
    by_class = itertools.groupby(train, key=lambda photo: photo.folder)
    write_train_tar(folder, ((wnid, _named(list(photos), make)) for wnid, photos in by_class))
    write_flat_tar(folder, "val", make(val))
    counts = Counter(photo.label for photo in train)
    write_devkit(
        folder, classes, [counts[label] for label in range(len(classes))], [photo.label for photo in val]
    )


def _write_folders(folder: Path, photos: list[_Photo], make: _Make) -> None:
    for photo, data in zip(photos, make(photos), strict=True):
        target = folder / photo.folder
        target.mkdir(parents=True, exist_ok=True)
        (target / photo.file).write_bytes(data)


def _named(photos: list[_Photo], make: _Make) -> Iterator[tuple[str, bytes]]:
    return zip((photo.file for photo in photos), make(photos), strict=True)
