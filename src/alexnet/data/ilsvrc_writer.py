"""Writes photos in the layout of ILSVRC-2012: a tar of class tars, flat tars of test photos, the devkit.

The same photos give the same bytes: no file records its time or owner.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

from alexnet.data.classes import Class

TRAIN_TAR = "ILSVRC2012_img_train.tar"
DEVKIT = "ILSVRC2012_devkit_t12"
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


def write_train_tar(folder: Path, photos_of: Iterable[tuple[str, Iterable[tuple[str, bytes]]]]) -> None:
    """Writes the tar of class tars from (WNID, (file name, photo) pairs), one class in memory at a time."""
    with tarfile.open(folder / TRAIN_TAR, "w") as tar:
        for wnid, photos in photos_of:
            class_file = io.BytesIO()
            with tarfile.open(fileobj=class_file, mode="w") as class_tar:
                for name, photo in photos:
                    _add(class_tar, name, photo)
            _add(tar, f"{wnid}.tar", class_file.getvalue())


def write_flat_tar(folder: Path, split: str, photos: Iterable[bytes]) -> None:
    """Writes the photos of `val` or `test`, numbered in the given order, that of the ground truth."""
    with tarfile.open(folder / f"ILSVRC2012_img_{split}.tar", "w") as tar:
        for number, photo in enumerate(photos, start=1):
            _add(tar, f"ILSVRC2012_{split}_{number:08d}.JPEG", photo)


def write_devkit(
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
            _add(tar, f"{DEVKIT}/{name}", data)
    (folder / f"{DEVKIT}.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))


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
