"""The last step of `prepare`: what the finished shards hold together becomes mean image and header."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.header import (
    VERSION,
    Header,
    OddFiles,
    ShardEntry,
    SplitEntry,
    UnreadableFile,
    write_header,
)
from alexnet.data.plan import Plan
from alexnet.data.resize import FILTER
from alexnet.data.settings import Settings
from alexnet.data.shard_task import ShardNote, Task, statistics_path
from alexnet.data.sources import Source
from alexnet.data.statistics import ColorStatistics
from alexnet.errors import DataError
from alexnet.files import write_whole

MEAN_IMAGE = "mean_image.npy"
ODD_LISTED = 20
"""Odd files named in the header, of each kind."""


def finish(
    path: Path,
    source: Source,
    settings: Settings,
    plan: Plan,
    notes: Mapping[Task, ShardNote],
    strict: bool,
) -> None:
    """Writes mean image and header; DataError for a class without photos or, if `strict`, a broken photo."""
    statistics = ColorStatistics.empty(settings.side, settings.channels)
    for task in notes:
        if task.split == _statistics_split(source):
            statistics.merge(ColorStatistics.load(statistics_path(task.note_path)))
    header = _header(source, settings, plan, notes, statistics)
    if strict:
        refuse_unreadable(header)
    _check_classes(notes, source)
    pixels = io.BytesIO()
    np.save(pixels, statistics.mean_image)
    write_whole(path / MEAN_IMAGE, pixels.getvalue())
    digest = hashlib.sha256(pixels.getvalue()).hexdigest()
    write_header(path, dataclasses.replace(header, mean_image_sha256=digest))


def refuse_unreadable(header: Header) -> None:
    """DataError that lists all photos that could not be read, if there are any."""
    listed = ", ".join(f"{each.split}/{each.key} ({each.reason})" for each in header.unreadable)
    if listed:
        found = f"{len(header.unreadable)} unreadable photos: {listed}"
        raise DataError(f"{found}; without --strict they are left out")


def _check_classes(notes: Mapping[Task, ShardNote], source: Source) -> None:
    counts = np.zeros(len(source.classes), np.int64)
    for task, note in notes.items():
        if task.split == _statistics_split(source):
            counts += np.bincount(note.labels, minlength=len(counts))
    empty = [source.classes[label].wnid for label in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(f"no readable training photo of {', '.join(empty)}: add some, or remove the class")


def _header(
    source: Source,
    settings: Settings,
    plan: Plan,
    notes: Mapping[Task, ShardNote],
    statistics: ColorStatistics,
) -> Header:
    eigenvalues, eigenvectors = statistics.axes()
    return Header(
        version=VERSION,
        **settings.to_dict(),
        resampling=FILTER,
        source={
            "form": source.form,
            "photos": {name: len(split) for name, split in source.splits.items()},
            "sha256": plan["photos"],
            **({"classes": source.kept} if source.kept else {}),
            **({"val_fraction": source.held_out} if source.held_out else {}),
        },
        splits={name: _split_entry(name, notes) for name in source.splits},
        classes=tuple(source.classes),
        statistics_split=_statistics_split(source),
        channel_mean=_numbers(statistics.channel_mean),
        mean_image=MEAN_IMAGE,
        color_covariance=tuple(map(_numbers, statistics.covariance)),
        color_eigenvalues=_numbers(eigenvalues),
        color_eigenvectors=tuple(map(_numbers, eigenvectors)),
        odd=_odd(notes),
        unreadable=tuple(
            UnreadableFile(task.split, key, why)
            for task, note in notes.items()
            for key, why in note.unreadable.items()
        ),
        picture=max(note.longest_side for note in notes.values()) if settings.resize == "pad" else 0,
    )


def _statistics_split(source: Source) -> str:
    """The split that mean and covariance are of: `train`, or the first where there is none."""
    return "train" if "train" in source.splits else next(iter(source.splits))


def _split_entry(name: str, notes: Mapping[Task, ShardNote]) -> SplitEntry:
    shards = [
        ShardEntry(task.file, len(note.labels), note.bytes, note.sha256)
        for task, note in notes.items()
        if task.split == name
    ]
    return SplitEntry(sum(shard.count for shard in shards), tuple(shards))


def _odd(notes: Mapping[Task, ShardNote]) -> dict[str, OddFiles]:
    by_kind: dict[str, list[str]] = {}
    for task, note in notes.items():
        for key, kinds in note.odd.items():
            for kind in kinds:
                by_kind.setdefault(kind, []).append(f"{task.split}/{key}")
    return {kind: OddFiles(len(keys), tuple(keys[:ODD_LISTED])) for kind, keys in by_kind.items()}


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))
