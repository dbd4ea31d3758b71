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

from alexnet.data.classes import imagenet_classes
from alexnet.data.decode import ONE_COLOR, decode, is_one_color, oddities, quiet
from alexnet.data.overview import (
    Overview,
    SplitOverview,
    describe_overview,
    listed,
    overview_fields,
    split_fields,
)
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


def describe(inspection: Inspection) -> list[str]:
    """The inspection as lines of text: what `describe_overview` has, and `describe_photos`."""
    return [*describe_overview(inspection), *describe_photos(inspection)]


def describe_photos(inspection: Inspection) -> list[str]:
    """What decoding the photos showed, as lines of text."""
    lines: list[str] = []
    for name, facts in inspection.splits.items():
        lines += _split_lines(name, facts)
    lines += _compared_to_ilsvrc(inspection.missing_of_ilsvrc or {})
    for name, whole in inspection.published_bytes.items():
        lines.append(f"{name}: {'the published bytes' if whole else 'NOT the published bytes'} by its MD5")
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
    lines: list[str] = []
    if facts.boxes:
        lines.append(f"{name}: {facts.photos:,} photos, {facts.boxes:,} boxes")
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
