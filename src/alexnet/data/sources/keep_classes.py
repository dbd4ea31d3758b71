"""Some of a source's classes: the first few, or those that are named."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import Class
from alexnet.data.sources.contract import Example, Labels, Source, SourceSplit
from alexnet.errors import CommandError

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
