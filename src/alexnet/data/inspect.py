"""What a source of photos contains: how it was understood, and what decoding every photo shows.

`overview` reads no photo: form, splits, classes, where labels were found, what was left out. `inspect`
decodes all of them: sizes, unusual and unreadable photos.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, imagenet_classes, in_label_order
from alexnet.data.decode import ONE_COLOR, decode, is_one_color, oddities, quiet
from alexnet.data.sources import Source, SourceSplit
from alexnet.data.sources.base import INNERMOST, LeftOut, SplitOrigin, group_of
from alexnet.errors import DataError
from alexnet.hardware import cpu_count
from alexnet.published.imagenet import (
    IMAGENET_MD5,
    IMAGENET_TEST_IMAGES,
    IMAGENET_TRAINING_IMAGES,
    IMAGENET_VALIDATION_IMAGES,
)
from alexnet.text import counted, first_few, printable

FIRST_CLASSES = 5
"""Classes that are named on the first line."""
NAMES_LISTED = 10
"""Photos of one kind, and stray files, that are named; others are counted."""
FEWEST_PHOTOS = 4
"""Of a class, from which on some can be held out twice: to choose with, and to test."""
_EXIF = {True: "applied by default", False: "not applied by default, since the form is ImageNet's"}
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
"""Of the photos' sides."""
_CHUNK_PHOTOS = 64


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
class GroupOverview:
    """Photos by the groups that `--group-column` names."""

    column: str
    groups: int
    largest_group: tuple[str, int]
    """(name, photos)."""
    without_group: int
    """Photos."""
    across_splits: list[str]
    """Groups with photos in several splits."""


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
    groups: GroupOverview | None
    """None without `--group-column`."""


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
        "groups": _group_overview(source),
    }


def _group_overview(source: Source) -> GroupOverview | None:
    column = source.options.get("group_column")
    if not column:
        return None
    by_split = {
        name: Counter(group_of(split, index) for index in range(len(split)))
        for name, split in source.splits.items()
    }
    photos = sum(by_split.values(), Counter[str]())
    without_group = photos.pop("", 0)
    several = [group for group in photos if sum(group in each for each in by_split.values()) > 1]
    largest = max(photos.items(), key=lambda item: item[1], default=("", 0))
    return GroupOverview(str(column), len(photos), largest, without_group, sorted(several))


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
    names = first_few([each.name for each in found.classes], FIRST_CLASSES)
    lines = [f"{found.path}: {found.form}; {found.label_order}: {names}"]
    for name, split in found.splits.items():
        lines.append(f"{name}: {_counts(split)}{_origin(split.origin)}")
    lines += _describe_groups(found.groups)
    if found.exif is not None:
        lines.append(f"EXIF orientation: {_EXIF[found.exif]}")
    lines += [f"left out: {each.what}: {each.reason}" for each in found.left_out[:NAMES_LISTED]]
    if len(found.left_out) > NAMES_LISTED:
        lines.append(f"left out: {len(found.left_out) - NAMES_LISTED:,} more (--json lists all)")
    lines += [f"note: {note}" for note in found.notes]
    lines += listed("skipped", found.strays)
    if "train" in found.splits and "val" not in found.splits:
        lines.append("no val split: prepare holds out --val-fraction of each class with enough photos")
        lines += _describe_few(found.splits["train"].photos_per_class)
    return lines


def _describe_few(photos: Mapping[str, int]) -> list[str]:
    """A line that names classes with too few photos; none if there are none."""
    few = sorted((count, wnid) for wnid, count in photos.items() if count < FEWEST_PHOTOS)
    names = first_few([f"{wnid} ({count})" for count, wnid in few], NAMES_LISTED)
    what = f"fewer than {FEWEST_PHOTOS} photos, too few for `fit` to hold some out twice"
    return (
        [f"{counted(len(few), 'class')} {'has' if len(few) == 1 else 'have'} {what}: {names}"] if few else []
    )


def _describe_groups(found: GroupOverview | None) -> list[str]:
    if found is None:
        return []
    name, photos = found.largest_group
    lines = [
        f"groups: {found.groups:,} in column {found.column}, the largest {name} ({counted(photos, 'photo')})"
    ]
    if found.without_group:
        lines[0] += f"; {counted(found.without_group, 'photo')} of no group"
    if found.across_splits:
        names = first_few(found.across_splits, FIRST_CLASSES)
        lines.append(
            f"groups with photos in several splits, which makes errors look smaller: "
            f"{len(found.across_splits):,}: {names}"
        )
    return lines


def table_of_classes(classes: Sequence[Class], counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each class: its label, WNID, name, and the photos of each split, `counts` by WNID."""
    rows = [["label", "class", "name", *counts]]
    rows += [
        [
            str(label),
            printable(each.wnid),
            printable(each.name),
            *(f"{own.get(each.wnid, 0):,}" for own in counts.values()),
        ]
        for label, each in enumerate(classes)
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
        return f"{counted(split.photos, 'photo')}; unlabeled"
    spread = f"{least:,} per class"
    if least < greatest:
        spread = f"{least:,} ({fewest}) to {greatest:,} ({most}) per class, median {split.median_class:g}"
    unlabeled = f" ({split.unlabeled:,} unlabeled)" if split.unlabeled else ""
    return f"{counted(split.photos, 'photo')}{unlabeled}; {spread}"


def _origin(origin: SplitOrigin) -> str:
    if origin.held_out:
        return f"; held out of train, {100 * origin.held_out:.3g} % of each class"
    folder = f"{origin.folder}/" if origin.folder else "the source"
    parts = [f"listed in {' and '.join(origin.lists)}"] if origin.lists else []
    if origin.labels == "folders":
        level = f"at level {origin.class_level} of" if origin.class_level > 1 else "in"
        innermost = "innermost " if origin.class_level == INNERMOST else ""
        parts.append(f"classes are the {innermost}folders {level} {folder}")
    elif origin.folder and not origin.lists:
        parts.append(f"in {folder}")
    if origin.labels == "file":
        columns = "one label per photo, in sorted order"
        if origin.image_column:
            columns = f"photos in column {origin.image_column}, labels in column {origin.label_column}"
        named = f", names from {origin.class_list}" if origin.class_list else ""
        parts.append(f"labels from {' and '.join(origin.files)} ({columns}: {origin.values}{named})")
        if origin.other_columns:
            parts.append(f"other columns: {first_few(origin.other_columns, NAMES_LISTED)}")
    elif origin.labels == "columns":
        parts.append(f"photos in column {origin.image_column}, labels in column {origin.label_column}")
    elif origin.labels == "names":
        parts.append("classes are the photos' names before their numbers")
    elif origin.labels == "devkit":
        parts.append(f"labels from the devkit {' and '.join(origin.files)}")
    if origin.published_as:
        parts.append(
            f"the split published as {origin.published_as}, used for validation because there is no other"
        )
    return "".join(f"; {part}" for part in parts)


def _label_order(classes: Sequence[Class]) -> str:
    known = [c.wnid for c in imagenet_classes()]
    found = [c.wnid for c in classes]
    if not set(found) <= set(known):
        is_sorted = found == in_label_order(found)
        return f"{counted(len(found), 'custom class')}, {'sorted' if is_sorted else 'not sorted'}"
    order = "in WNID order" if found == sorted(found) else "not in WNID order"
    share = "the" if len(found) == len(known) else f"{len(found):,} of the"
    return f"{share} 1,000 classes of ILSVRC-2012, {order}"


@dataclass(frozen=True)
class SplitFacts(SplitOverview):
    """The contents of one split; photos are named by their keys."""

    boxes: int
    shorter_side_pixels: list[int]
    """At `QUANTILES`, over the readable photos; empty if there are none."""
    longer_side_pixels: list[int]
    odd: dict[str, list[str]]
    """Photos by what is unusual: gray, CMYK, PNG named .JPEG, EXIF orientation 6, ..."""
    unreadable: dict[str, str]
    """Reasons, by photo."""


@dataclass(frozen=True)
class Inspection(Overview):
    """The contents of a source."""

    splits: Mapping[str, SplitFacts]
    missing_of_ilsvrc: dict[str, int] | None
    """By split, how many photos are missing compared to ILSVRC-2012 (negative: additional); None for other
    classes."""
    published_bytes: dict[str, bool]
    """Whether each official archive of ILSVRC-2012 found there has the published MD5."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, as docs/data.md describes them."""
        values = dataclasses.asdict(self)
        return {**values, "left_out": [each._asdict() for each in self.left_out]}


def inspect(
    source: Source, progress: Callable[[int], object] | None = None, workers: int | None = None
) -> Inspection:
    """Reads and decodes every photo once, in `workers` threads (default: one per core); changes nothing.

    `progress(count)` is called whenever `count` more photos are finished.
    """
    pool = ThreadPoolExecutor(workers or cpu_count())
    try:
        with quiet():
            facts = {
                name: _facts(source, name, pool, progress or (lambda count: None)) for name in source.splits
            }
    finally:
        pool.shutdown(cancel_futures=True)
    fields: dict[str, Any] = {**overview_fields(source), "splits": facts}
    return Inspection(
        **fields,
        missing_of_ilsvrc=missing_of_ilsvrc(source),
        published_bytes=_published_bytes(source),
    )


def missing_of_ilsvrc(source: Source) -> dict[str, int] | None:
    """How many photos each split lacks compared to ILSVRC-2012; None unless the classes are its 1,000.

    Test photos are counted only if there are some, since only a submission needs them.
    """
    if {c.wnid for c in source.classes} != {c.wnid for c in imagenet_classes()}:
        return None
    published = {"train": IMAGENET_TRAINING_IMAGES, "val": IMAGENET_VALIDATION_IMAGES}
    if "test" in source.splits:
        published["test"] = IMAGENET_TEST_IMAGES
    return {name: count - len(source.splits.get(name, ())) for name, count in published.items()}


@dataclass(frozen=True)
class _Photo:
    key: str
    shorter: int = 0
    longer: int = 0
    boxes: int = 0
    odd: tuple[str, ...] = ()
    reason: str = ""


def _facts(
    source: Source, name: str, pool: ThreadPoolExecutor, progress: Callable[[int], object]
) -> SplitFacts:
    split = source.splits[name]
    odd: defaultdict[str, list[str]] = defaultdict(list)
    unreadable: dict[str, str] = {}
    sides = np.zeros((len(split), 2), dtype=np.int32)
    boxes = 0
    for index, photo in enumerate(_photos(split, pool, progress)):
        sides[index] = photo.shorter, photo.longer
        boxes += photo.boxes
        if photo.reason:
            unreadable[photo.key] = photo.reason
        for kind in photo.odd:
            odd[kind].append(photo.key)
    readable = sides[sides[:, 0] > 0]
    quantiles = (
        np.quantile(readable, QUANTILES, axis=0).round().astype(int).T.tolist() if len(readable) else [[], []]
    )
    return SplitFacts(
        **split_fields(source, name, split),
        boxes=boxes,
        shorter_side_pixels=quantiles[0],
        longer_side_pixels=quantiles[1],
        odd=dict(odd),
        unreadable=unreadable,
    )


def _photos(
    split: SourceSplit, pool: ThreadPoolExecutor, progress: Callable[[int], object]
) -> Iterator[_Photo]:
    """The facts of every photo, in order."""

    def chunk(start: int) -> list[_Photo]:
        return [_photo(split, index) for index in range(start, min(start + _CHUNK_PHOTOS, len(split)))]

    for photos in pool.map(chunk, range(0, len(split), _CHUNK_PHOTOS)):
        yield from photos
        progress(len(photos))


def _photo(split: SourceSplit, index: int) -> _Photo:
    key = split.key(index)
    try:
        example = split[index]
        pixels = decode(example.image)
        height, width, _ = pixels.shape
        one_color = (ONE_COLOR,) if is_one_color(pixels) else ()
        odd = (*oddities(example.image, key), *one_color, *example.odd)
    except DataError as error:
        return _Photo(key, reason=str(error))
    return _Photo(key, min(width, height), max(width, height), len(example.boxes), odd)


def _published_bytes(source: Source) -> dict[str, bool]:
    if missing_of_ilsvrc(source) is None or not source.path.is_dir():
        return {}
    found = {name: source.path / name for name in IMAGENET_MD5 if (source.path / name).is_file()}
    return {name: _md5(path) == IMAGENET_MD5[name] for name, path in found.items()}


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def describe_inspection(inspection: Inspection) -> list[str]:
    """The inspection as lines of text: what `describe_overview` has, and `describe_photos`."""
    return [*describe_overview(inspection), *describe_photos(inspection)]


def describe_photos(inspection: Inspection) -> list[str]:
    """What decoding the photos showed, as lines of text."""
    lines: list[str] = []
    for name, facts in inspection.splits.items():
        lines += _split_lines(name, facts)
    lines += _compared_to_ilsvrc(inspection.missing_of_ilsvrc or {})
    for name, whole in inspection.published_bytes.items():
        same = "identical to the published file (MD5)"
        lines.append(f"{name}: {same if whole else 'NOT identical to the published file (MD5 differs)'}")
    return lines


def compared_to_ilsvrc(source: Source) -> list[str]:
    """A line per split: how many photos fewer or more than ILSVRC-2012 it has; empty for other classes."""
    return _compared_to_ilsvrc(missing_of_ilsvrc(source) or {})


def _compared_to_ilsvrc(missing: Mapping[str, int]) -> list[str]:
    lines: list[str] = []
    for name, count in missing.items():
        difference = f"{counted(abs(count), 'photo')} {'fewer' if count > 0 else 'more'} than"
        lines.append(f"{name}: {difference if count else 'as many photos as'} ILSVRC-2012")
    return lines


def _split_lines(name: str, facts: SplitFacts) -> list[str]:
    lines: list[str] = []
    if facts.boxes:
        lines.append(f"{name}: {counted(facts.photos, 'photo')}, {counted(facts.boxes, 'box')}")
    if facts.shorter_side_pixels:
        sides = (facts.shorter_side_pixels, facts.longer_side_pixels)
        least_side, _, median, _, most_side = zip(*sides, strict=True)
        quantiles = f"median {_by(median)}, from {_by(least_side)} to {_by(most_side)}"
        lines.append(f"{name}: shorter by longer side in pixels: {quantiles}")
    for kind, keys in sorted(facts.odd.items()):
        lines += listed(f"{name}: {kind}", keys) if len(keys) < facts.photos else [f"{name}: all are {kind}"]
    reasons = [f"{key} ({reason})" for key, reason in facts.unreadable.items()]
    return lines + listed(f"{name}: unreadable", reasons)


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"
