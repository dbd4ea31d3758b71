"""What every raw form of labeled photos becomes: a `Source` of splits that give encoded images with labels.

Sources only read. They pickle small enough to hand to worker processes: arrays and packed names, no open
files and no lists of paths, since ImageNet has 1.28 million photos.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class
from alexnet.data.manifest import Settings
from alexnet.errors import CommandError

Labels = npt.NDArray[np.int32]


class Box(NamedTuple):
    """One object's rectangle; corners as shares of the width and height in [0, 1], y downwards."""

    label: int
    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def from_pixels(cls, label: int, corners: Sequence[float], size: tuple[int, int]) -> Box:
        """From (x0, y0, x1, y1) in pixels, the last ones included as ImageNet counts, and (width, height)."""
        x0, y0, x1, y1 = corners
        width, height = size
        shares = (x0 / width, y0 / height, (x1 + 1) / width, (y1 + 1) / height)
        return cls(label, *(min(max(share, 0.0), 1.0) for share in shares))


class BoxesFound(NamedTuple):
    """The boxes that somebody drew on one photo."""

    boxes: tuple[Box, ...] = ()
    """Those that can be used, the part of each that lies in the photo."""
    odd: tuple[str, ...] = ()
    """What is wrong with the others, or with all: of `NO_BOX`, `REVERSED`, `EMPTY`, `OUTSIDE`, `BEYOND`."""


NO_BOX, REVERSED, EMPTY = "without box", "box reversed", "box empty"
OUTSIDE, BEYOND = "box outside the photo", "box partly outside the photo"
_MARGIN_PIXELS = 1
"""So far beyond its photo a box may reach without a word: some people count pixels from 1, not 0."""


def checked_boxes(found: Sequence[tuple[int, Sequence[float]]], size: tuple[int, int]) -> BoxesFound:
    """From labels and corners (x0, y0, x1, y1) in pixels, both ends included, and (width, height).

    Left out are boxes that are reversed, empty (their two ends equal) or outside.
    """
    if not found:
        return BoxesFound((), (NO_BOX,))
    wrong = [_wrong(corners, size) for _, corners in found]
    boxes = [
        Box.from_pixels(label, corners, size)
        for (label, corners), what in zip(found, wrong, strict=True)
        if what in ("", BEYOND)
    ]
    return BoxesFound(tuple(boxes), tuple(dict.fromkeys(filter(None, wrong))))


def _wrong(corners: Sequence[float], size: tuple[int, int]) -> str:
    x0, y0, x1, y1 = corners
    width, height = size
    if x1 < x0 or y1 < y0:
        return REVERSED
    if x1 == x0 or y1 == y0:
        return EMPTY
    if x0 >= width or y0 >= height or x1 < 0 or y1 < 0:
        return OUTSIDE
    lowest, farthest = min(x0, y0), max(x1 - width, y1 - height) + 1
    return BEYOND if max(-lowest, farthest) > _MARGIN_PIXELS else ""


@dataclass(frozen=True)
class Example:
    """One labeled photo as it was found."""

    image: bytes
    """The encoded file, unchanged."""
    label: int
    key: str
    """Unique within its split: `<wnid>/<file name>` wherever photos are files, whatever the layout.

    Without a label the file name alone.
    """
    boxes: tuple[Box, ...] = ()
    odd: tuple[str, ...] = ()
    """What is odd about the boxes that were found, or were not."""


class SourceSplit(Protocol):
    """The photos of `train`, `val` or `test`; safe to index from many threads."""

    @property
    def labels(self) -> Labels:
        """(N,) the label of every photo, known without reading any; `NO_LABEL` where nobody told."""
        ...

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """The example's key, without reading the photo."""
        ...

    def __getitem__(self, index: int) -> Example:
        """Photo 0 <= index < N; DataError where the source has changed or been cut since it was opened."""
        ...


@dataclass(frozen=True)
class Source:
    """Labeled photos in any raw form. Files come sorted by label, then name; records in their own order."""

    form: str
    """The raw form in words: "Kaggle tree", "class folders in a tar"."""
    path: Path
    classes: list[Class]
    """In label order."""
    splits: dict[str, SourceSplit]
    """`train`, and `val` and `test` where there are photos for them; those of `test` may lack labels."""
    strays: list[str] = field(default_factory=list[str])
    """What was found beside the photos and left out, by name."""
    settings: Settings = field(default_factory=Settings)
    """How `prepare` stores them where a person does not say: one's own photos upright, digits as they are."""
    kept: str = ""
    """Which classes `prepare --classes` kept, of how many; empty where all."""
    class_filter: str = ""
    """What `prepare --classes` was given; empty where all classes were kept."""
    held_out: float = 0.0
    """The share of each class's photos that were made `val`; 0 where the source has a `val`, or none is."""


@dataclass(frozen=True)
class Subset:
    """Some photos of a split, in the given order."""

    whole: SourceSplit
    indices: npt.NDArray[np.int64]

    @property
    def labels(self) -> Labels:
        """(N,) labels of the chosen photos."""
        return self.whole.labels[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, index: int) -> str:
        """The key of a chosen photo."""
        return self.whole.key(int(self.indices[index]))

    def __getitem__(self, index: int) -> Example:
        return self.whole[int(self.indices[index])]


def hold_out(split: SourceSplit, fraction: float) -> tuple[Subset, Subset]:
    """(train, val): `val` is, of each class, the `fraction` of photos whose keys have the smallest SHA-256.

    A function of the names alone: no seed, the same on every machine, and a photo added later moves few
    others. Shares are rounded to whole photos; every class keeps at least one for training.
    """
    digests = b"".join(hashlib.sha256(split.key(index).encode()).digest()[:8] for index in range(len(split)))
    by_class = np.lexsort((np.frombuffer(digests, dtype=">u8"), split.labels))
    counts = np.bincount(split.labels)
    held = np.minimum(np.floor(counts * fraction + 0.5).astype(np.int64), np.maximum(counts - 1, 0))
    rank_in_class = np.arange(len(split)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(len(split), dtype=bool)
    chosen[by_class] = rank_in_class < np.repeat(held, counts)
    return Subset(split, np.flatnonzero(~chosen)), Subset(split, np.flatnonzero(chosen))


LEAST = 2


def keep_classes(source: Source, wanted: str) -> Source:
    """The source with the first N classes (`"10"`), or with those named (`"n01440764,goldfish"`), alone.

    They stay in their label order and are counted anew. Photos whose class nobody told are left out, and a
    split that has no other. `Source.kept` says what was kept. CommandError, with the nearest name, for a
    class that is not there, and where fewer than two would be left.
    """
    labels = _first(source.classes, int(wanted)) if wanted.isdecimal() else _named(source.classes, wanted)
    if len(labels) < LEAST:
        raise CommandError(f"--classes {wanted} keeps {len(labels)}: it takes two to tell apart")
    new = np.full(len(source.classes) + 1, -1, np.int32)  # the last is where a label of -1 points
    new[labels] = np.arange(len(labels))
    parts = {
        name: _Kept(split, np.flatnonzero(new[split.labels] >= 0), new)
        for name, split in source.splits.items()
    }
    return dataclasses.replace(
        source,
        classes=[source.classes[label] for label in labels],
        splits={name: part for name, part in parts.items() if len(part)},
        kept=f"{wanted} of {len(source.classes)}",
        class_filter=str(wanted),
    )


@dataclass(frozen=True)
class _Kept:
    """The photos of a split whose classes are kept, with their labels among these."""

    whole: SourceSplit
    indices: npt.NDArray[np.int64]
    new: Labels
    """By old label; -1 where the class is left out."""

    @property
    def labels(self) -> Labels:
        return self.new[self.whole.labels[self.indices]]

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, index: int) -> str:
        return self.whole.key(int(self.indices[index]))

    def __getitem__(self, index: int) -> Example:
        example = self.whole[int(self.indices[index])]
        boxes = tuple(
            box._replace(label=int(self.new[box.label])) for box in example.boxes if self.new[box.label] >= 0
        )
        return dataclasses.replace(example, label=int(self.new[example.label]), boxes=boxes)


def _first(classes: Sequence[Class], count: int) -> list[int]:
    if count > len(classes):
        raise CommandError(f"--classes {count}: the source has {len(classes)}, type that or fewer")
    return list(range(count))


def _named(classes: Sequence[Class], wanted: str) -> list[int]:
    """The labels of classes named by WNID or by name, in label order."""
    labels = {each.name.casefold(): label for label, each in enumerate(classes)}
    labels |= {each.wnid.casefold(): label for label, each in enumerate(classes)}
    names = [name.strip().casefold() for name in wanted.split(",")]
    for name in names:
        if name not in labels:
            nearest = difflib.get_close_matches(name, labels, n=1, cutoff=0)
            raise CommandError(f"--classes: the source has no class {name!r}; the nearest is {nearest[0]!r}")
    return sorted({labels[name] for name in names})
