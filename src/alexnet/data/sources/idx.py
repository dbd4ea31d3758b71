"""IDX files, the form of MNIST: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, with or without `.gz`.

A photo here is bare gray levels. It is handed on as PGM, the simplest of all image files: a header line and
the bytes as they are, so that nothing is lost and any reader decodes it.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import classes_of, in_label_order
from alexnet.data.manifest import Settings
from alexnet.data.sources.base import Example, Labels, Source, SourceSplit
from alexnet.data.sources.files import Tree, strays_of
from alexnet.errors import DataError

SETTINGS = Settings(side=32, resize="pad", encoding="raw", channels=1)
"""How digits are stored where nobody says otherwise: MNIST's 28 x 28 in the middle of 32 x 32, as LeNet-5 saw
them, and in gray. Raw, since a JPEG of so few pixels would be as large and not the same."""

_NAME = re.compile(r"(?P<part>.*)(?P<kind>images|labels)[.-]idx(?P<axes>[13])-ubyte(\.gz)?", re.IGNORECASE)


@dataclass(frozen=True)
class IdxSplit:
    """Gray levels and labels in memory: MNIST's are 47 MB."""

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
    """The source, its classes the label values, `t10k` or test files its `val`; None without such files."""
    parts = _parts(tree, base)
    if not parts:
        return None
    arrays = {part: _arrays(tree, part, files) for part, files in parts.items()}
    first = next(iter(arrays))
    values = np.unique(arrays[first][1])
    splits: dict[str, SourceSplit] = {}
    for part, (pixels, numbers) in arrays.items():
        name = "train" if part == first else "val"
        if name in splits or not np.isin(numbers, values).all():
            raise DataError(f"{tree.path}: {part} fits no training files: keep one data set in a folder")
        splits[name] = IdxSplit(pixels, np.searchsorted(values, numbers).astype(np.int32), name)
    classes = classes_of(in_label_order(str(value) for value in values))
    known = [file for files in parts.values() for file in files.values()]
    return Source("IDX files", tree.path, classes, splits, strays_of(tree, [], known), SETTINGS)


def _parts(tree: Tree, base: str) -> dict[str, dict[str, int]]:
    """For each `train-`, `t10k-` ..., training first: the files of its `images` and `labels`."""
    parts: dict[str, dict[str, int]] = {}
    for file in tree.listing.files(base):
        match = _NAME.fullmatch(tree.listing.name(file))
        if match:
            parts.setdefault(match["part"], {}).setdefault(match["kind"].lower(), file)
    return dict(sorted(parts.items(), key=lambda item: "train" not in item[0].lower()))


def _arrays(
    tree: Tree, part: str, files: dict[str, int]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    for kind in ("images", "labels"):
        if kind not in files:
            raise DataError(f"{tree.path}: the {kind} file of {part!r} is missing beside its other half")
    pixels, labels = _array(tree, files["images"], 3), _array(tree, files["labels"], 1)
    if len(pixels) != len(labels):
        raise DataError(f"{tree.path}: {part!r} has {len(pixels):,} images but {len(labels):,} labels")
    return pixels, labels


def _array(tree: Tree, file: int, axes: int) -> npt.NDArray[np.uint8]:
    where = tree.path / tree.listing.path(file)
    data = tree.read(file)
    try:
        data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where} is cut short or damaged ({error}): get it again") from error
    start = 4 + 4 * axes
    if data[:4] != bytes([0, 0, 8, axes]) or len(data) < start:
        raise DataError(f"{where} is no IDX file of bytes with {axes} axes: it starts with {data[:4]!r}")
    shape = struct.unpack(f">{axes}I", data[4:start])
    if len(data) - start != int(np.prod(shape)):
        raise DataError(
            f"{where} holds {len(data) - start:,} bytes where {shape} were announced: get it again"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
