"""Parts of a source: some of its classes (`prepare --classes`), and a validation split held out of train."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.findings import after_move
from alexnet.data.sources.base import (
    Example,
    Labels,
    Source,
    SourceSplit,
    SplitOrigin,
    group_of,
    path_of,
    stamp_of,
)
from alexnet.data.subset import grouped_split, stratified_split
from alexnet.errors import CommandError
from alexnet.text import suggestion

_MIN_CLASSES = 2
_MAX_DIGITS = 9
"""Of a number of classes."""


def filter_classes(source: Source, wanted: str) -> Source:
    """The source with its first N classes (`"10"`), or those named (`"n01440764,goldfish"`).

    They keep their order and are relabeled from 0. Unlabeled photos are dropped, and so is a split without
    any other. CommandError, naming the nearest class, for an unknown one, and for fewer than two.
    """
    labels = _first(source.classes, wanted) if wanted.isdecimal() else _named(source.classes, wanted)
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
class Subset:
    """Some photos of a split, in the given order."""

    split: SourceSplit
    indices: npt.NDArray[np.int64]

    @property
    def labels(self) -> Labels:
        """(N,) labels of the chosen photos."""
        return self.split.labels[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, index: int) -> str:
        """The key of a chosen photo."""
        return self.split.key(int(self.indices[index]))

    def path(self, index: int) -> str | None:
        """As for `Located`."""
        return path_of(self.split, int(self.indices[index]))

    def stamp(self, index: int) -> str | None:
        """As for `Stamped`."""
        return stamp_of(self.split, int(self.indices[index]))

    def group(self, index: int) -> str:
        """As for `Grouped`."""
        return group_of(self.split, int(self.indices[index]))

    def __getitem__(self, index: int) -> Example:
        return self.split[int(self.indices[index])]


@dataclass(frozen=True)
class _FilteredSplit(Subset):
    """The photos of a split whose classes are kept, relabeled."""

    new_labels: Labels
    """By old label; `NO_LABEL` where the class is dropped."""

    @property
    def labels(self) -> Labels:
        return self.new_labels[super().labels]

    def __getitem__(self, index: int) -> Example:
        example = super().__getitem__(index)
        boxes = tuple(
            box._replace(label=int(self.new_labels[box.label]))
            for box in example.boxes
            if self.new_labels[box.label] >= 0
        )
        return dataclasses.replace(example, label=int(self.new_labels[example.label]), boxes=boxes)


def _first(classes: Sequence[Class], wanted: str) -> list[int]:
    if len(wanted) > _MAX_DIGITS or int(wanted) > len(classes):
        raise CommandError(f"--classes {wanted[:40]}: the source has {len(classes)}; type that or fewer")
    return list(range(int(wanted)))


def _named(classes: Sequence[Class], wanted: str) -> list[int]:
    """The labels of classes given by WNID or by name, in label order."""
    exact: dict[str, set[int]] = {}
    folded: dict[str, set[int]] = {}
    for label, each in enumerate(classes):
        for name in (each.name, each.wnid):
            exact.setdefault(name, set()).add(label)
            folded.setdefault(name.casefold(), set()).add(label)
    chosen: set[int] = set()
    for name in pieces(wanted, folded):
        labels = exact.get(name, folded.get(name.casefold(), set()))
        if len(labels) > 1:
            meant = " or ".join(classes[label].wnid for label in sorted(labels))
            raise CommandError(f"--classes: {name!r} may be {meant}: type one of them")
        if not labels:
            raise CommandError(
                f"--classes: the source has no class {name!r}; {suggestion(name.casefold(), folded)}"
            )
        chosen |= labels
    return sorted(chosen)


def pieces(wanted: str, names: Container[str]) -> list[str]:
    """The parts between commas; those that are one of `names`, in lower case, together (`Paris, France`) in
    one.
    """
    parts, found = wanted.split(","), list[str]()
    while parts:
        joined = (",".join(parts[:count]).strip() for count in range(len(parts), 1, -1))
        piece = next((each for each in joined if each.casefold() in names), parts[0].strip())
        found.append(piece)
        parts = parts[piece.count(",") + 1 :]
    return found


def hold_out(source: Source, fraction: float, group_by: str = "") -> Source:
    """The source with a fraction of each class's training photos as `val`; unchanged if it has a `val`.

    `group_by` is a regular expression over keys: photos with the same first group (or, without groups, the
    same match) stay in one split, and so does each photo that does not match. So do the photos of a group
    that the source's `group_column` names. CommandError for a fraction outside [0, 1), an expression that is
    none or matches nothing, for both ways to name groups, or if no photo can be held out.
    """
    check_fraction(fraction)
    column = str(source.options.get("group_column", ""))
    if group_by and column:
        raise CommandError("--group-by and --group-column both name groups: choose one")
    if group_by and ("val" in source.splits or not fraction):
        has = "has a validation split already" if fraction else "has --val-fraction 0"
        raise CommandError(f"{source.path} {has}, so --group-by changes nothing: remove it")
    if "val" in source.splits or "train" not in source.splits or not fraction:
        return source
    photos = source.splits["train"]
    keys = [photos.key(index) for index in range(len(photos))]
    if group_by or column:
        named = [group_of(photos, index) for index in range(len(photos))]
        groups = named_groups(keys, named) if column else groups_of(keys, group_by)
        train, val = grouped_split(groups, photos.labels, fraction)
        if not len(val):
            option = f"--group-column {column}" if column else f"--group-by {group_by}"
            raise CommandError(
                f"{option}: the groups are too large to hold out {fraction:g} of any class; "
                "use one with more groups, or hold out another fraction"
            )
    else:
        train, val = stratified_split(keys, photos.labels, fraction)
    splits: dict[str, SourceSplit] = {**source.splits, "train": Subset(photos, train)}
    origins = dict(source.origins)
    if len(val):
        splits["val"], origins["val"] = Subset(photos, val), SplitOrigin(held_out=fraction)
    return dataclasses.replace(
        source,
        splits=splits,
        origins=origins,
        val_fraction=fraction,
        group_by=group_by,
        dropped=after_move(source.dropped, "train", "val", {keys[index] for index in val.tolist()}),
    )


def check_fraction(fraction: float) -> None:
    """CommandError for a fraction outside [0, 1)."""
    if not 0 <= fraction < 1:
        raise CommandError(f"a validation fraction of {fraction} is not in [0, 1)")


def groups_of(keys: Sequence[str], pattern: str) -> list[str]:
    """The name of each photo's group, by its key; `pattern` and errors as for `hold_out`."""
    try:
        names = names_in_keys(keys, pattern)
    except re.error as error:
        raise CommandError(f"--group-by {pattern} is not a regular expression: {error}") from error
    if not any(names):
        raise CommandError(f"--group-by {pattern} matches no photo; their keys are such as {keys[0]}")
    return named_groups(keys, names)


def names_in_keys(keys: Sequence[str], pattern: str) -> list[str]:
    """What the first group of a regular expression, or without groups the whole of it, matches in each key.

    Empty where it matches nothing.
    """
    compiled = re.compile(pattern)
    found = [compiled.search(key) for key in keys]
    return [(match and (match[1] if compiled.groups else match[0])) or "" for match in found]


def named_groups(keys: Sequence[str], names: Sequence[str]) -> list[str]:
    """The name of each photo's group; a photo with an empty name is a group of its own.

    The prefixes keep its key from being the name of a group.
    """
    return [f"group {name}" if name else f"photo {key}" for key, name in zip(keys, names, strict=True)]
