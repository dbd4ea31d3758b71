"""`prepare --classes`: a source with some of its classes."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.sources.base import Example, Labels, Source, SourceSplit, stamp_of
from alexnet.errors import CommandError

_MIN_CLASSES = 2


def filter_classes(source: Source, wanted: str) -> Source:
    """The source with its first N classes (`"10"`), or those named (`"n01440764,goldfish"`).

    They keep their order and are relabeled from 0. Unlabeled photos are dropped, and so is a split without
    any other. CommandError, naming the nearest class, for an unknown one, and for fewer than two.
    """
    labels = _first(source.classes, int(wanted)) if wanted.isdecimal() else _named(source.classes, wanted)
    if len(labels) < _MIN_CLASSES:
        raise CommandError(f"--classes {wanted} keeps {len(labels)}: at least {_MIN_CLASSES} are needed")
    new_labels = np.full(len(source.classes) + 1, NO_LABEL, np.int32)  # the last is for NO_LABEL itself
    new_labels[labels] = np.arange(len(labels))
    splits = {
        name: _FilteredSplit(split, np.flatnonzero(new_labels[split.labels] >= 0), new_labels)
        for name, split in source.splits.items()
    }
    return dataclasses.replace(
        source,
        classes=[source.classes[label] for label in labels],
        splits={name: split for name, split in splits.items() if len(split)},
        class_filter=wanted,
        unfiltered_classes=len(source.classes),
    )


@dataclass(frozen=True)
class _FilteredSplit:
    """The photos of a split whose classes are kept, relabeled."""

    split: SourceSplit
    indices: npt.NDArray[np.int64]
    new_labels: Labels
    """By old label; `NO_LABEL` where the class is dropped."""

    @property
    def labels(self) -> Labels:
        return self.new_labels[self.split.labels[self.indices]]

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, index: int) -> str:
        return self.split.key(int(self.indices[index]))

    def stamp(self, index: int) -> str | None:
        return stamp_of(self.split, int(self.indices[index]))

    def __getitem__(self, index: int) -> Example:
        example = self.split[int(self.indices[index])]
        boxes = tuple(
            box._replace(label=int(self.new_labels[box.label]))
            for box in example.boxes
            if self.new_labels[box.label] >= 0
        )
        return dataclasses.replace(example, label=int(self.new_labels[example.label]), boxes=boxes)


def _first(classes: Sequence[Class], count: int) -> list[int]:
    if count > len(classes):
        raise CommandError(f"--classes {count}: the source has {len(classes)}; type that or fewer")
    return list(range(count))


def _named(classes: Sequence[Class], wanted: str) -> list[int]:
    """The labels of classes given by WNID or by name, in label order."""
    labels = {each.name.casefold(): label for label, each in enumerate(classes)}
    labels |= {each.wnid.casefold(): label for label, each in enumerate(classes)}
    names = [name.strip().casefold() for name in wanted.split(",")]
    for name in names:
        if name not in labels:
            nearest = difflib.get_close_matches(name, labels, n=1, cutoff=0)
            raise CommandError(f"--classes: the source has no class {name!r}; the nearest is {nearest[0]!r}")
    return sorted({labels[name] for name in names})
