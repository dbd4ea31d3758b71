"""Synthetic data sets: a learnable problem in real JPEG files, in ILSVRC's layout or in class folders."""

from __future__ import annotations

import gzip
import io
import itertools
import math
import shutil
import tarfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy.io import savemat

from alexnet.data.classes import Class
from alexnet.data.synthetic_images import SHAPES, TEXTURES, UNUSUAL_KINDS, draw_photo, encode_photo
from alexnet.errors import CommandError, WorkError
from alexnet.hardware import cpu_count

SyntheticLayout = Literal["ilsvrc", "folder"]
MAX_CLASSES = len(SHAPES) * len(TEXTURES)
_TRAIN, _VAL, _SHUFFLE, _ODD, _TEST, _SHUFFLE_TEST = range(6)
"""Purposes of random numbers: each has its own stream."""
_UNFINISHED = ".unfinished"
_AHEAD = 64
"""Photos drawn ahead of the writer, at most: a few megabytes."""
_TRAIN_TAR = "ILSVRC2012_img_train.tar"
_DEVKIT = "ILSVRC2012_devkit_t12"
_ROOT_WNID = "n99999999"
_MAT_HEADER_BYTES = 116
"""Length of the free text at the start of a MATLAB 5 file; scipy writes the date into it."""
_FIELDS = (
    "ILSVRC2012_ID",
    "WNID",
    "words",
    "gloss",
    "num_children",
    "children",
    "wordnet_height",
    "num_train_images",
)
_README = """Development kit of a made-up data set in the layout of ILSVRC-2012, tasks 1 and 2.

data/meta.mat: one struct array `synsets`; classes have the ILSVRC2012_IDs 1 to K, inner nodes those above.
data/ILSVRC2012_validation_ground_truth.txt: the ILSVRC2012_ID of each validation image, sorted by name.
"""


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
    layout: SyntheticLayout = "ilsvrc",
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
                    _write_flat_tar(part, "test", draw(test_photos))
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


def _photos(
    classes: list[Class], per_class: int, split: int, seed: int, layout: SyntheticLayout
) -> list[_Photo]:
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


def _test_photos(classes: list[Class], count: int, seed: int, layout: SyntheticLayout) -> list[_Photo]:
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
    _write_train_tar(folder, ((wnid, _named(list(photos), draw)) for wnid, photos in by_class))
    _write_flat_tar(folder, "val", draw(val))
    counts = Counter(photo.label for photo in train)
    _write_devkit(
        folder, classes, [counts[label] for label in range(len(classes))], [photo.label for photo in val]
    )


def _write_folders(folder: Path, photos: list[_Photo], draw: _Draw) -> None:
    for photo, data in zip(photos, draw(photos), strict=True):
        target = folder / photo.folder
        target.mkdir(parents=True, exist_ok=True)
        (target / photo.file).write_bytes(data)


def _named(photos: list[_Photo], draw: _Draw) -> Iterator[tuple[str, bytes]]:
    return zip((photo.file for photo in photos), draw(photos), strict=True)


def _write_train_tar(folder: Path, photos_of: Iterable[tuple[str, Iterable[tuple[str, bytes]]]]) -> None:
    """Writes the tar of class tars from (WNID, (file name, photo) pairs), one class in memory at a time."""
    with tarfile.open(folder / _TRAIN_TAR, "w") as tar:
        for wnid, photos in photos_of:
            class_file = io.BytesIO()
            with tarfile.open(fileobj=class_file, mode="w") as class_tar:
                for name, photo in photos:
                    _add(class_tar, name, photo)
            _add(tar, f"{wnid}.tar", class_file.getvalue())


def _write_flat_tar(folder: Path, split: str, photos: Iterable[bytes]) -> None:
    """Writes the photos of `val` or `test`, numbered in the given order, that of the ground truth."""
    with tarfile.open(folder / f"ILSVRC2012_img_{split}.tar", "w") as tar:
        for number, photo in enumerate(photos, start=1):
            _add(tar, f"ILSVRC2012_{split}_{number:08d}.JPEG", photo)


def _write_devkit(
    folder: Path, classes: Sequence[Class], train_counts: Sequence[int], val_labels: Sequence[int]
) -> None:
    """Writes the devkit of classes in label order with the label of each validation photo."""
    ids = ilsvrc_ids(len(classes))
    truth = "".join(f"{ids[label]}\n" for label in val_labels)
    files = {
        "readme.txt": _README.encode(),
        "data/meta.mat": _meta(classes, ids, train_counts),
        "data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            _add(tar, f"{_DEVKIT}/{name}", data)
    (folder / f"{_DEVKIT}.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def ilsvrc_ids(count: int) -> list[int]:
    """The ILSVRC id, 1..count, of each label: not the order of WNIDs, as in the real devkit."""
    shift = max(1, count // 3)
    return [(label + shift) % count + 1 for label in range(count)]


def _meta(classes: Sequence[Class], ids: Sequence[int], train_counts: Sequence[int]) -> bytes:
    """`meta.mat`: the classes by ILSVRC id, then their common root."""
    nothing = np.zeros((1, 0))
    rows = sorted(
        (number, made.wnid, made.name, f"a made-up thing: {made.name}", 0, nothing, 0, count)
        for number, made, count in zip(ids, classes, train_counts, strict=True)
    )
    children = np.array([sorted(ids)], dtype=np.float64)
    root = (len(classes) + 1, _ROOT_WNID, "thing", "anything made up", len(classes), children, 1, 0)
    synsets = np.empty((len(rows) + 1, 1), dtype=[(name, object) for name in _FIELDS])
    for index, row in enumerate([*rows, root]):
        synsets[index, 0] = row
    file = io.BytesIO()
    savemat(file, {"synsets": synsets})
    text = b"MATLAB 5.0 MAT-file, a made-up data set in the layout of ILSVRC-2012"
    return text.ljust(_MAT_HEADER_BYTES) + file.getvalue()[_MAT_HEADER_BYTES:]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
