"""What was understood of a source before any photo is decoded: form, splits, classes, labels, omissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, imagenet_classes, in_label_order
from alexnet.data.sources import Source, SourceSplit
from alexnet.data.sources.base import LeftOut, SplitOrigin

FIRST_CLASSES = 5
"""Classes that are named on the first line."""
NAMES_LISTED = 10
"""Photos of one kind, and stray files, that are named; others are counted."""

_EXIF = {True: "applied by default", False: "not applied by default, since the form is ImageNet's"}


@dataclass(frozen=True)
class SplitOverview:
    """The size of a split, its classes, and where its photos and labels were found."""

    photos: int
    unlabeled: int
    """Photos of unknown class."""
    origin: SplitOrigin
    photos_per_class: dict[str, int]
    """By WNID, in label order; zeros included."""
    smallest_class: tuple[str, int]
    """(WNID, photos)."""
    median_class: float
    """Photos of the class in the middle."""
    largest_class: tuple[str, int]


@dataclass(frozen=True)
class Overview:
    """A source, as it was understood."""

    form: str
    path: str
    classes: list[Class]
    label_order: str
    """In words."""
    splits: Mapping[str, SplitOverview]
    left_out: list[LeftOut]
    strays: list[str]
    notes: list[str]
    options: dict[str, Any]
    """The options that chose this reading."""
    val_fraction: float
    """Fraction of each class that was held out as `val`; 0 if none was."""
    exif: bool | None
    """Whether `prepare` applies EXIF orientation by default; None for images that are no files."""


def overview(source: Source) -> Overview:
    """What was understood of a source; reads no photo."""
    return Overview(**overview_fields(source))


def overview_fields(source: Source) -> dict[str, Any]:
    """The fields of an `Overview`."""
    return {
        "form": source.form,
        "path": str(source.path),
        "classes": source.classes,
        "label_order": _label_order(source.classes),
        "splits": {
            name: SplitOverview(**split_fields(source, name, split)) for name, split in source.splits.items()
        },
        "left_out": source.left_out,
        "strays": source.strays,
        "notes": source.notes,
        "options": source.options,
        "val_fraction": source.val_fraction,
        "exif": None if source.settings.encoding == "raw" else source.settings.exif,
    }


def split_fields(source: Source, name: str, split: SourceSplit) -> dict[str, Any]:
    """The fields of a `SplitOverview`."""
    labeled = split.labels[split.labels != NO_LABEL]
    counts = np.bincount(labeled, minlength=len(source.classes))
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    wnids = [each.wnid for each in source.classes]
    return {
        "photos": len(split),
        "unlabeled": len(split) - len(labeled),
        "origin": source.origins.get(name, SplitOrigin()),
        "photos_per_class": dict(zip(wnids, counts.tolist(), strict=True)),
        "smallest_class": (wnids[smallest], int(counts[smallest])),
        "median_class": float(np.median(counts)),
        "largest_class": (wnids[largest], int(counts[largest])),
    }


def describe_overview(found: Overview) -> list[str]:
    """The overview as lines of text."""
    names = [each.name for each in found.classes[:FIRST_CLASSES]]
    more = ", ..." if len(found.classes) > FIRST_CLASSES else ""
    lines = [f"{found.path}: {found.form}; {found.label_order}: {', '.join(names)}{more}"]
    for name, split in found.splits.items():
        lines.append(f"{name}: {_counts(split)}{_origin(found, name, split)}")
    if found.exif is not None:
        lines.append(f"EXIF orientation: {_EXIF[found.exif]}")
    lines += [f"left out: {each.what}: {each.reason}" for each in found.left_out[:NAMES_LISTED]]
    if len(found.left_out) > NAMES_LISTED:
        lines.append(f"left out: {len(found.left_out) - NAMES_LISTED:,} more (--json lists all)")
    lines += [f"note: {note}" for note in found.notes]
    lines += listed("skipped", found.strays)
    if "val" not in found.splits:
        lines.append("no val split: prepare holds out --val-fraction of each class with enough photos")
    return lines


def table_of_classes(found: Overview) -> list[str]:
    """A line for each class: its label, WNID, name, and the photos of each split."""
    splits = list(found.splits)
    rows = [["label", "class", "name", *splits]]
    rows += [
        [
            str(label),
            each.wnid,
            each.name,
            *(f"{found.splits[name].photos_per_class[each.wnid]:,}" for name in splits),
        ]
        for label, each in enumerate(found.classes)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def listed(what: str, names: Sequence[str]) -> list[str]:
    """A line that counts and names things; none if there are none."""
    if not names:
        return []
    rest = f" and {len(names) - NAMES_LISTED:,} more (--json lists all)" if len(names) > NAMES_LISTED else ""
    return [f"{what}: {len(names):,}: {', '.join(names[:NAMES_LISTED])}{rest}"]


def _counts(split: SplitOverview) -> str:
    (fewest, least), (most, greatest) = split.smallest_class, split.largest_class
    if split.unlabeled == split.photos:
        return f"{split.photos:,} photos; unlabeled"
    spread = f"{least:,} per class"
    if least < greatest:
        spread = f"{least:,} ({fewest}) to {greatest:,} ({most}) per class, median {split.median_class:g}"
    unlabeled = f" ({split.unlabeled:,} unlabeled)" if split.unlabeled else ""
    return f"{split.photos:,} photos{unlabeled}; {spread}"


def _origin(found: Overview, name: str, split: SplitOverview) -> str:
    origin = split.origin
    if name == "val" and found.val_fraction:
        return f"; held out, {100 * found.val_fraction:g} % of each class"
    folder = f"{origin.folder}/" if origin.folder else "the source"
    parts = [f"listed in {' and '.join(origin.lists)}"] if origin.lists else []
    if origin.labels == "folders":
        level = f"at level {origin.class_level} of" if origin.class_level > 1 else "in"
        parts.append(f"classes are the folders {level} {folder}")
    elif origin.folder and not origin.lists:
        parts.append(f"in {folder}")
    if origin.labels == "file":
        columns = "one label per photo, in sorted order"
        if origin.image_column:
            columns = f"photos in column {origin.image_column}, labels in column {origin.label_column}"
        named = f" of {origin.class_list}" if origin.class_list else ""
        parts.append(f"labels from {' and '.join(origin.files)} ({columns}: {origin.values}{named})")
    elif origin.labels == "columns":
        parts.append(f"photos in column {origin.image_column}, labels in column {origin.label_column}")
    elif origin.labels == "names":
        parts.append("classes are the photos' names before their numbers")
    elif origin.labels == "devkit":
        parts.append(f"labels from the devkit {' and '.join(origin.files)}")
    return "".join(f"; {part}" for part in parts)


def _label_order(classes: Sequence[Class]) -> str:
    known = [c.wnid for c in imagenet_classes()]
    found = [c.wnid for c in classes]
    if not set(found) <= set(known):
        return (
            f"{len(found):,} custom classes, {'sorted' if found == in_label_order(found) else 'not sorted'}"
        )
    order = "in WNID order" if found == sorted(found) else "not in WNID order"
    share = "the" if len(found) == len(known) else f"{len(found):,} of the"
    return f"{share} 1,000 classes of ILSVRC-2012, {order}"
