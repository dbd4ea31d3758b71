"""CIFAR-10 and CIFAR-100 in their Python form: pickled batches, a row of 3 x 32 x 32 bytes for each image.

A pickle can run any program. These are read by an unpickler that admits nothing but what they hold: numbers,
texts, lists, dictionaries and numpy arrays.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import ArraySplit, Labels, Source, SourceSplit
from alexnet.data.sources.photo_files import OpenedSource, find_strays
from alexnet.data.sources.tree import Tree
from alexnet.errors import CommandError, DataError

_SIDE = 32
_SETTINGS = PrepareSettings(side=_SIDE, encoding="raw")
"""Defaults: not resized. Raw, since a JPEG of this size would be as large, and lossy."""
_BATCH = re.compile(r"data_batch_\d+")
_META = {"batches.meta": {b"labels": b"label_names"}}
_META["meta"] = {b"fine_labels": b"fine_label_names", b"coarse_labels": b"coarse_label_names"}
"""By the file with the names of the classes: the key of the labels in the batches, and of their names."""


_FAILURES = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, RecursionError, struct.error),
)
"""What Python and numpy raise on damaged pickles."""


def read(opened: OpenedSource) -> Source | None:
    """The source, with the test batch as `val`; None if there are no batches.

    CIFAR-100 has two columns of labels: `fine_labels` (default) and, as `label_column`, `coarse_labels`.
    """
    tree, options = opened.tree, opened.options
    found = _find(tree)
    if found is None:
        return None
    meta, batches = found
    keys = _META[tree.listing.name(meta)]
    wanted = (options.label_column or next(iter(keys)).decode()).encode()
    if wanted not in keys:
        choices = ", ".join(key.decode() for key in keys)
        raise CommandError(f"--label-column {options.label_column}: {tree.path} has {choices}")
    names = _class_names(tree, meta, keys[wanted])
    splits: dict[str, SourceSplit] = {}
    for split, files in batches.items():
        loaded = [_arrays(tree, file, wanted, len(names)) for file in files]
        pixels = np.concatenate([each for each, _ in loaded]).transpose(0, 2, 3, 1)
        splits[split] = ArraySplit(pixels, np.concatenate([each for _, each in loaded]), split)
    known = [meta, *(file for files in batches.values() for file in files)]
    form = "CIFAR-100 batches" if len(keys) > 1 else "CIFAR-10 batches"
    classes = [Class(name, name) for name in names]
    return Source(form, tree.path, classes, splits, find_strays(tree, [], known), _SETTINGS)


def _find(tree: Tree) -> tuple[int, dict[str, list[int]]] | None:
    """The file with the names of the classes, and the batches of each split."""
    listing = tree.listing
    for folder in listing.folders:
        files = {listing.name(file): file for file in listing.files(folder)}
        batches = [file for name, file in files.items() if _BATCH.fullmatch(name)]
        if "batches.meta" in files and batches:
            splits = {"train": batches, "val": [files["test_batch"]] if "test_batch" in files else []}
            return files["batches.meta"], {split: found for split, found in splits.items() if found}
        if {"meta", "train"} <= files.keys() and tree.read(files["meta"]).startswith(b"\x80"):
            splits = {"train": [files["train"]], "val": [files["test"]] if "test" in files else []}
            return files["meta"], {split: found for split, found in splits.items() if found}
    return None


def _class_names(tree: Tree, meta: int, key: bytes) -> list[str]:
    names = _load(tree, meta).get(key)
    try:
        if isinstance(names, list):
            return [name.decode() for name in cast(list[Any], names)]
    except (AttributeError, UnicodeDecodeError):
        pass
    where = tree.path / tree.listing.path(meta)
    raise DataError(f"{where} holds no list {key.decode()} as Python 2 wrote it: download it again")


def _arrays(tree: Tree, file: int, key: bytes, classes: int) -> tuple[npt.NDArray[np.uint8], Labels]:
    """Images (N, 3, 32, 32) and labels (N,) of one batch; DataError if it is not one."""
    batch = _load(tree, file)
    where = tree.path / tree.listing.path(file)
    data, labels = batch.get(b"data"), batch.get(key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
        raise DataError(f"{where} holds no rows of bytes: download it again")
    if data.shape[1] != 3 * _SIDE * _SIDE or not isinstance(labels, list) or len(labels) != len(data):
        raise DataError(f"{where} holds {data.shape} bytes and no label for each row: download it again")
    values = np.array(labels, dtype=np.int64)
    if len(values) and not (values.min() >= 0 and values.max() < classes):
        raise DataError(f"{where} has labels outside its {classes} classes: download it again")
    return data.reshape(-1, 3, _SIDE, _SIDE), values.astype(np.int32)


def _load(tree: Tree, file: int) -> Mapping[bytes, Any]:
    where = tree.path / tree.listing.path(file)
    try:
        found = _Unpickler(io.BytesIO(tree.read(file)), encoding="bytes").load()
    except _FAILURES as error:
        raise DataError(f"{where} is not a batch of CIFAR ({error}): download it again") from error
    if not isinstance(found, Mapping):
        raise DataError(f"{where} is not a batch of CIFAR: download it again")
    return found


class _Unpickler(pickle._Unpickler):  # pyright: ignore[reportPrivateUsage]
    """Admits arrays; everything else that is no plain value is refused.

    It is Python's own, since the faster one in C allocates a memo of any size that a file names.
    """

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): "ndarray",  # an argument of `_reconstruct`, never called
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
        }
        found = allowed.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch holds")
        return found


def _empty_array(kind: object, shape: object, code: object) -> npt.NDArray[np.uint8]:
    """What numpy's own function does for an array: one without elements, which is filled afterwards."""
    return np.ndarray((0,), np.uint8)
