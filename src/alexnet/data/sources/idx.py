"""IDX files, the format of MNIST: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, plain or gzipped.

Their images are bare gray levels. An `Example` holds them as PGM, the simplest image file: a header line and
the bytes unchanged, so that nothing is lost and any decoder reads it.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import classes_from_wnids, in_label_order
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import Example, Labels, Source, SourceSplit
from alexnet.data.sources.photo_split import find_strays
from alexnet.data.sources.train_val import SPLIT_FOLDERS
from alexnet.data.sources.tree import Tree
from alexnet.errors import DataError

SETTINGS = PrepareSettings(side=32, resize="pad", encoding="raw", channels=1)
"""Defaults for digits: MNIST's 28 x 28 centered in 32 x 32, as for LeNet-5, and gray. Raw, since a JPEG of
so few pixels would be as large, and lossy."""

_NAME = re.compile(r"(?P<part>.*)(?P<kind>images|labels)[.-]idx(?P<axes>[13])-ubyte(\.gz)?", re.IGNORECASE)


@dataclass(frozen=True)
class IdxSplit:
    """Gray levels and labels in memory: 47 MB for MNIST."""

    pixels: npt.NDArray[np.uint8]
    """(N, H, W)."""
    labels: Labels
    name: str

    def __len__(self) -> int:
        return len(self.pixels)

    def key(self, index: int) -> str:
        """Split and number: `train/00042`."""
        return f"{self.name}/{index:05d}"

    def __getitem__(self, index: int) -> Example:
        height, width = self.pixels.shape[1:]
        image = f"P5\n{width} {height}\n255\n".encode() + self.pixels[index].tobytes()
        return Example(image, int(self.labels[index]), self.key(index))


def read(tree: Tree, base: str) -> Source | None:
    """The source, its classes named by label values; None if there are no such files.

    `t10k` or test files are `val` if there is no other.
    """
    parts = _parts(tree, base)
    if not parts:
        return None
    part_of = _splits(tree, parts)
    arrays = {split: _arrays(tree, part, parts[part]) for split, part in part_of.items()}
    first = next(iter(arrays))
    values = np.unique(arrays[first][1])
    splits: dict[str, SourceSplit] = {}
    for split, (pixels, labels) in arrays.items():
        other = np.setdiff1d(labels, values)
        if len(other):
            raise DataError(
                f"{tree.path}: {part_of[split]!r} has labels that {part_of[first]!r} lacks "
                f"({', '.join(map(str, other[:3]))}): keep one data set in a folder"
            )
        splits[split] = IdxSplit(pixels, np.searchsorted(values, labels).astype(np.int32), split)
    classes = classes_from_wnids(in_label_order(str(value) for value in values))
    known = [file for files in parts.values() for file in files.values()]
    return Source("IDX files", tree.path, classes, splits, find_strays(tree, [], known), SETTINGS)


def _splits(tree: Tree, parts: Mapping[str, object]) -> dict[str, str]:
    """The part of each split, `train` first; DataError, naming them, if several parts may be one split."""
    meant: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part in parts:
        words = re.split(r"[^a-z0-9]+", part.lower())
        named = [split for split, own in SPLIT_FOLDERS.items() if any(word in own for word in words)]
        meant["test" if "t10k" in words else named[0] if named else "train"].append(part)
    if not meant["val"]:
        meant["val"], meant["test"] = meant["test"], []
    if not meant["train"]:
        meant["train"], meant["val"] = meant["val"] or meant["test"], []
    for split, found in meant.items():
        if len(found) > 1:
            listed = ", ".join(map(repr, found))
            raise DataError(f"{tree.path}: {listed} may all be {split}: keep one data set in a folder")
    return {split: found[0] for split, found in meant.items() if found}


def _parts(tree: Tree, base: str) -> dict[str, dict[str, int]]:
    """For each prefix (`train-`, `t10k-`, ...): its files of `images` and `labels`."""
    parts: dict[str, dict[str, int]] = {}
    for file in tree.listing.files(base):
        match = _NAME.fullmatch(tree.listing.name(file))
        if match:
            parts.setdefault(match["part"], {}).setdefault(match["kind"].lower(), file)
    return parts


def _arrays(
    tree: Tree, part: str, files: dict[str, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images (N, H, W) and labels (N,)."""
    for kind in ("images", "labels"):
        if kind not in files:
            raise DataError(f"{tree.path}: the {kind} file of {part!r} is missing; put both files there")
    pixels, labels = _array(tree, files["images"], 3), _array(tree, files["labels"], 1)
    if not len(pixels):
        raise DataError(f"{tree.path}: the images file of {part!r} holds 0 images: download it again")
    if len(pixels) != len(labels):
        raise DataError(f"{tree.path}: {part!r} has {len(pixels):,} images but {len(labels):,} labels")
    return pixels, labels


def _array(tree: Tree, file: int, axes: int) -> npt.NDArray[np.uint8]:
    path = tree.path / tree.listing.path(file)
    data = tree.read(file)
    try:
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is cut short or damaged ({error}): download it again") from error
    start = 4 + 4 * axes
    if data[:4] != bytes([0, 0, 8, axes]) or len(data) < start:
        raise DataError(f"{path} is not an IDX file of bytes with {axes} axes: it starts with {data[:4]!r}")
    shape = struct.unpack(f">{axes}I", data[4:start])
    if len(data) - start != int(np.prod(shape)):
        raise DataError(
            f"{path} holds {len(data) - start:,} bytes, its header promises {shape}: download it again"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
