"""Checks a source before it is prepared: counts, unusual and unreadable photos, sizes, stray files."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, imagenet_classes
from alexnet.data.decode import ONE_COLOR, decode, is_one_color, oddities, quiet
from alexnet.data.sources import Source, SourceSplit
from alexnet.errors import DataError
from alexnet.hardware import cpu_count
from alexnet.published.imagenet import (
    IMAGENET_MD5,
    IMAGENET_TEST_IMAGES,
    IMAGENET_TRAINING_IMAGES,
    IMAGENET_VALIDATION_IMAGES,
)

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
"""Of the photos' sides."""
_CHUNK_PHOTOS = 64
KEYS_LISTED = 10
"""Photos of one kind, and stray files, that `describe` lists."""


@dataclass(frozen=True)
class SplitFacts:
    """The contents of one split; photos are named by their keys."""

    photos: int
    unlabeled: int
    """Photos of unknown class."""
    boxes: int
    smallest_class: tuple[str, int]
    """(WNID, photos)."""
    largest_class: tuple[str, int]
    shorter_side_pixels: list[int]
    """At `QUANTILES`, over the readable photos; empty if there are none."""
    longer_side_pixels: list[int]
    odd: dict[str, list[str]]
    """Photos by what is unusual: gray, CMYK, PNG named .JPEG, EXIF orientation 6, ..."""
    unreadable: dict[str, str]
    """Reasons, by photo."""


@dataclass(frozen=True)
class Inspection:
    """The contents of a source."""

    form: str
    path: str
    classes: list[Class]
    label_order: str
    """In words."""
    splits: dict[str, SplitFacts]
    strays: list[str]
    missing_of_ilsvrc: dict[str, int] | None
    """By split, how many photos are missing compared to ILSVRC-2012 (negative: additional); None for other
    classes."""
    published_bytes: dict[str, bool]
    """Whether each official archive of ILSVRC-2012 found there has the published MD5."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


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
                name: _facts(source, split, pool, progress or (lambda count: None))
                for name, split in source.splits.items()
            }
    finally:
        pool.shutdown(cancel_futures=True)
    return Inspection(
        form=source.form,
        path=str(source.path),
        classes=source.classes,
        label_order=_label_order(source.classes),
        splits=facts,
        strays=source.strays,
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
    source: Source, split: SourceSplit, pool: ThreadPoolExecutor, progress: Callable[[int], object]
) -> SplitFacts:
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
    labeled = split.labels[split.labels != NO_LABEL]
    counts = np.bincount(labeled, minlength=len(source.classes))
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    readable = sides[sides[:, 0] > 0]
    quantiles = (
        np.quantile(readable, QUANTILES, axis=0).round().astype(int).T.tolist() if len(readable) else [[], []]
    )
    return SplitFacts(
        photos=len(split),
        unlabeled=len(split) - len(labeled),
        boxes=boxes,
        smallest_class=(source.classes[smallest].wnid, int(counts[smallest])),
        largest_class=(source.classes[largest].wnid, int(counts[largest])),
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


def _label_order(classes: list[Class]) -> str:
    known = [c.wnid for c in imagenet_classes()]
    found = [c.wnid for c in classes]
    if not set(found) <= set(known):
        return f"{len(found):,} custom classes, {'sorted' if found == sorted(found) else 'not sorted'}"
    order = "in WNID order" if found == sorted(found) else "not in WNID order"
    share = "the" if len(found) == len(known) else f"{len(found):,} of the"
    return f"{share} 1,000 classes of ILSVRC-2012, {order}"


def _published_bytes(source: Source) -> dict[str, bool]:
    if missing_of_ilsvrc(source) is None or not source.path.is_dir():
        return {}
    found = {name: source.path / name for name in IMAGENET_MD5 if (source.path / name).is_file()}
    return {name: _md5(path) == IMAGENET_MD5[name] for name, path in found.items()}


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def describe(inspection: Inspection) -> list[str]:
    """The inspection as lines of text."""
    lines = [f"{inspection.path}: {inspection.form}; {inspection.label_order}"]
    for name, facts in inspection.splits.items():
        lines += _split_lines(name, facts)
    lines += _compared_to_ilsvrc(inspection.missing_of_ilsvrc or {})
    for name, whole in inspection.published_bytes.items():
        lines.append(f"{name}: {'the published bytes' if whole else 'NOT the published bytes'} by its MD5")
    lines += _listed("skipped", inspection.strays)
    if "val" not in inspection.splits:
        lines.append("no val split: prepare holds out a fraction of each class (--val-fraction)")
    return lines


def compared_to_ilsvrc(source: Source) -> list[str]:
    """A line per split: how many photos fewer or more than ILSVRC-2012 it has; empty for other classes."""
    return _compared_to_ilsvrc(missing_of_ilsvrc(source) or {})


def _compared_to_ilsvrc(missing: Mapping[str, int]) -> list[str]:
    lines: list[str] = []
    for name, count in missing.items():
        difference = f"{abs(count):,} photos {'fewer' if count > 0 else 'more'} than"
        lines.append(f"{name}: {difference if count else 'as many photos as'} ILSVRC-2012")
    return lines


def _split_lines(name: str, facts: SplitFacts) -> list[str]:
    (fewest, least), (most, largest) = facts.smallest_class, facts.largest_class
    boxes = f", {facts.boxes:,} boxes" if facts.boxes else ""
    spread = f"{least:,} ({fewest}) to {largest:,} ({most})" if least < largest else f"{least:,}"
    per_class = f"{spread} per class" if facts.unlabeled < facts.photos else "unlabeled"
    lines = [f"{name}: {facts.photos:,} photos{boxes}; {per_class}"]
    if facts.shorter_side_pixels:
        sides = (facts.shorter_side_pixels, facts.longer_side_pixels)
        least_side, _, median, _, most_side = zip(*sides, strict=True)
        quantiles = f"median {_by(median)}, from {_by(least_side)} to {_by(most_side)}"
        lines.append(f"  shorter by longer side in pixels: {quantiles}")
    for kind, keys in sorted(facts.odd.items()):
        lines += _listed(f"  {kind}", keys) if len(keys) < facts.photos else [f"  all are {kind}"]
    reasons = [f"{key} ({reason})" for key, reason in facts.unreadable.items()]
    return lines + _listed("  unreadable", reasons)


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    rest = f" and {len(names) - KEYS_LISTED:,} more (--json lists all)" if len(names) > KEYS_LISTED else ""
    return [f"{what}: {len(names):,}: {', '.join(names[:KEYS_LISTED])}{rest}"]
