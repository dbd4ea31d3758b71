"""IDX files, the format of MNIST: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, plain or gzipped.

Their images are bare gray levels. An `Example` holds them as PGM, the simplest image file: a header line and
the bytes unchanged, so that nothing is lost and any decoder reads it.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class, classes_from_wnids, in_label_order
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import ArraySplit, Source, SourceSplit
from alexnet.data.sources.photo_files import OpenedSource, find_strays
from alexnet.data.sources.split_names import SPLIT_FOLDERS, split_in
from alexnet.data.sources.tree import MAX_FILE_BYTES, Tree, join
from alexnet.errors import DataError
from alexnet.text import counted, encodable

_SETTINGS = PrepareSettings(side=32, resize="pad", encoding="raw", channels=1)
"""Defaults for digits: MNIST's 28 x 28 centered in 32 x 32, as for LeNet-5, and gray. Raw, since a
JPEG of this size would be as large, and lossy."""
_NAME = re.compile(r"(?P<part>.*)(?P<kind>images|labels)[.-]idx(?P<axes>[13])-ubyte(\.gz)?", re.IGNORECASE)


def read(opened: OpenedSource) -> Source | None:
    """The source, its classes named by label values, with `t10k` or test files as `val`; else None.

    DataError for the files of several data sets (as in EMNIST's archive) of which the options choose none.
    """
    tree, options = opened.tree, opened.options
    found = _data_sets(tree)
    if not found:
        return None
    name = _choose(tree, found, options.configuration)
    parts = found[name]
    if "train" not in parts:
        parts = {"train": next(iter(parts.values())), **dict(list(parts.items())[1:])}
    if "test" in parts and "val" not in parts:
        parts["val"] = parts.pop("test")
    arrays = {split: _arrays(tree, split, parts[split]) for split in SPLIT_FOLDERS if split in parts}
    values = np.unique(arrays["train"][1])
    is_emnist = "emnist" in name
    splits: dict[str, SourceSplit] = {}
    for split, (pixels, labels) in arrays.items():
        if not np.isin(labels, values).all():
            raise DataError(
                f"{tree.path}: {split} has labels that train lacks: keep one data set in a folder"
            )
        upright = np.ascontiguousarray(pixels.swapaxes(1, 2)) if is_emnist else pixels
        splits[split] = ArraySplit(upright, np.searchsorted(values, labels).astype(np.int32), split)
    classes = classes_from_wnids(in_label_order(str(value) for value in values))
    known = [file for files in parts.values() for file in files.values()]
    notes: list[str] = []
    if is_emnist:
        classes, mapping = _characters(tree, name, classes)
        known += mapping
        notes.append("EMNIST's images are stored transposed: they are transposed back")
    strays = find_strays(tree, [], known)
    return Source("IDX files", tree.path, classes, splits, strays, _SETTINGS, notes=notes)


def _data_sets(tree: Tree) -> dict[str, dict[str, dict[str, int]]]:
    """For each data set (the folder and the names' beginning), for each split, its images and labels."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for file in tree.listing.ending_in("", ".gz", ".idx1-ubyte", ".idx3-ubyte"):
        match = _NAME.fullmatch(tree.listing.name(file))
        if match:
            folder = tree.listing.path(file).rpartition("/")[0]
            split = split_in(match["part"]) or ("test" if "10k" in match["part"] else "train")
            words = [word for word in re.split(r"[-_.]+", match["part"]) if word and not split_in(word)]
            name = join(folder, "-".join(word for word in words if "10k" not in word.lower())).lower()
            found.setdefault(name, {}).setdefault(split, {}).setdefault(match["kind"].lower(), file)
    return found


def _choose(tree: Tree, found: Mapping[str, object], wanted: str) -> str:
    """The one data set, or the one whose name ends in what is wanted."""
    names = [name for name in found if name.endswith(wanted.lower())]
    if len(names) == 1:
        return names[0]
    raise DataError(f"{tree.path}: IDX files of {', '.join(sorted(found))}: choose one with --configuration")


def _characters(tree: Tree, name: str, classes: list[Class]) -> tuple[list[Class], list[int]]:
    """EMNIST's classes with their characters as names, and the file that maps labels to them."""
    folder, _, stem = name.rpartition("/")
    files = [
        file
        for file in tree.listing.files(folder)
        if tree.listing.name(file).lower() == f"{stem}-mapping.txt"
    ]
    if not files:
        return classes, []
    characters: dict[str, str] = {}
    for number, line in enumerate(tree.text(files[0]).splitlines(), start=1):
        label, *codes = line.split() or [""]
        try:
            characters[label] = encodable("".join(chr(int(code)) for code in codes))
        except (ValueError, OverflowError):
            where = f"{tree.path}: {tree.listing.path(files[0])}, line {number}"
            raise DataError(f"{where}: expected a label and codes of characters: {line[:80]!r}") from None
    return [Class(each.wnid, characters.get(each.wnid) or each.name) for each in classes], files


def _arrays(
    tree: Tree, part: str, files: dict[str, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images (N, H, W) and labels (N,)."""
    for kind in ("images", "labels"):
        if kind not in files:
            raise DataError(f"{tree.path}: the {kind} file of {part} is missing: put both files there")
    pixels, labels = _array(tree, files["images"], 3), _array(tree, files["labels"], 1)
    if not len(pixels):
        raise DataError(f"{tree.path}: the images file of {part} holds 0 images: download it again")
    if len(pixels) != len(labels):
        raise DataError(
            f"{tree.path}: {part} has {counted(len(pixels), 'image')} but {counted(len(labels), 'label')}"
        )
    return pixels, labels


def _array(tree: Tree, file: int, axes: int) -> npt.NDArray[np.uint8]:
    path = tree.path / tree.listing.path(file)
    data = tree.read(file)
    stream = io.BytesIO(data)
    opened = gzip.GzipFile(fileobj=stream) if data.startswith(b"\x1f\x8b") else stream
    start = 4 + 4 * axes
    try:
        header = opened.read(start)
        if header[:4] != bytes([0, 0, 8, axes]) or len(header) < start:
            found = f"it starts with {header[:4]!r}"
            raise DataError(f"{path} is not an IDX file of bytes with {axes} axes: {found}")
        shape = struct.unpack(f">{axes}I", header[4:])
        size = math.prod(shape)
        if size > MAX_FILE_BYTES:
            raise DataError(f"{path}: its header promises {shape}, more than {MAX_FILE_BYTES:,} bytes")
        values = opened.read(size + 1)  # one more than promised shows that there are more
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is cut short or damaged ({error}): download it again") from error
    if len(values) != size:
        held = f"more than {size:,}" if len(values) > size else f"{len(values):,}"
        raise DataError(f"{path} holds {held} bytes, its header promises {shape}: download it again")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
