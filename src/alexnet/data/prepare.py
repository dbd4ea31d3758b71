"""Source to store: decode, resize, encode, in parallel and by shards; a stopped one goes on where it was.

A shard is written under a temporary name beside a note of what is in it; when both are complete they are
renamed, note last. So at any moment of a kill every shard is either done or not begun. The header is written
when all shards are done, and makes the folder a store.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from alexnet.data.header import (
    HEADER_FILE,
    VERSION,
    Header,
    OddFiles,
    ShardEntry,
    SplitEntry,
    UnreadableFile,
    read_header,
    write_atomically,
    write_header,
)
from alexnet.data.resize import FILTER
from alexnet.data.shard import RECORDS
from alexnet.data.shard_task import NOTE_SUFFIX, ShardNote, Task, read_note, statistics_path
from alexnet.data.sources import Source
from alexnet.data.statistics import ColorStatistics
from alexnet.data.store import Store
from alexnet.data.workers import run_tasks
from alexnet.errors import CommandError, DataError, WorkError

PLAN = "preparing.json"
MEAN_IMAGE = "mean_image.npy"
ODD_LISTED = 20
"""Odd files named in the header, of each kind."""
_BYTES_PER_PIXEL = {"jpeg": 0.8, "raw": 3.0}
"""For the estimate of disk space; quality 95 without subsampling takes about 0.6 at side 256."""


@dataclass(frozen=True)
class Settings:
    """How photos are stored; sides in pixels."""

    side: int = 256
    shape: Literal["square", "whole"] = "square"
    resize: Literal["crop", "warp"] = "crop"
    encoding: Literal["jpeg", "raw"] = "jpeg"
    quality: int = 95
    subsampling: Literal["4:4:4", "4:2:0"] = "4:4:4"
    exif: bool = False

    def __post_init__(self) -> None:
        checks = [
            (self.side >= 16, f"side {self.side} is too small: use 16 pixels or more"),
            (1 <= self.quality <= 100, f"quality {self.quality} is not in 1..100"),
            (
                self.shape == "square" or self.resize == "crop",
                "--resize warp makes squares: leave out --shape whole",
            ),
            (
                self.shape == "square" or self.encoding == "jpeg",
                "raw images must be squares: leave out --shape whole",
            ),
        ]
        for holds, message in checks:
            if not holds:
                raise CommandError(message)

    def to_dict(self) -> dict[str, Any]:
        """The settings that matter: raw images have neither quality nor subsampling."""
        meaningless = {"quality": 0, "subsampling": ""} if self.encoding == "raw" else {}
        return {**asdict(self), **meaningless}


def prepare(
    source: Source,
    path: Path,
    settings: Settings = Settings(),
    workers: int | None = None,
    strict: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Store:
    """The finished store at `path`; does nothing where it is finished already.

    `workers` processes (default: one per core); `progress(count)` is told of images done. Photos that can't
    be read are left out and listed in the header; with `strict` they are a DataError instead.
    CommandError where `path` holds something else; WorkError where the disk is full. Nothing done is lost:
    the same call goes on.
    """
    plan = _plan(source, settings)
    if (path / HEADER_FILE).exists():
        return _finished(path, plan)
    tasks = _tasks(source, path, settings)
    _begin(path, plan)
    missing = [task for task in tasks if not task.note_path.exists()]
    progress(sum(task.stop - task.start for task in tasks) - sum(task.stop - task.start for task in missing))
    _check_space(path, settings, sum(task.stop - task.start for task in missing))
    run_tasks(source, missing, workers or len(os.sched_getaffinity(0)), progress)
    notes = {task: read_note(task.note_path) for task in tasks}
    _check_readable(notes, source, strict)
    return _finish(path, source, settings, plan, notes)


def _plan(source: Source, settings: Settings) -> dict[str, Any]:
    """All that determines the store's bytes, to recognise a half-done or finished one."""
    facts = hashlib.sha256()
    for name, split in source.splits.items():
        facts.update(f"{name} {len(split)} ".encode() + split.labels.tobytes())
    facts.update(json.dumps([each.wnid for each in source.classes]).encode())
    return {"version": VERSION, **settings.to_dict(), "source": source.form, "photos": facts.hexdigest()}


def _begin(path: Path, plan: dict[str, Any]) -> None:
    """Makes the folder, or finds it half done with the same plan; removes what a kill left behind."""
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is a file: choose another STORE")
    if (path / PLAN).exists():
        _same_plan(path, json.loads((path / PLAN).read_text()), plan)
    elif path.exists() and any(path.iterdir()):
        raise CommandError(f"{path} is not empty and no store: choose another STORE")
    path.mkdir(parents=True, exist_ok=True)
    for left in path.glob("*.part"):
        left.unlink()
    write_atomically(path / PLAN, json.dumps(plan).encode())


def _same_plan(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    differ = [
        f"{key} {found.get(key)} (now {wanted[key]})" for key in wanted if found.get(key) != wanted[key]
    ]
    if differ:
        what = ", ".join("other photos" if each.startswith("photos ") else each for each in differ)
        raise CommandError(f"{path} was prepared with {what}: use the same settings, or choose another STORE")


def _finished(path: Path, plan: dict[str, Any]) -> Store:
    header = read_header(path)
    found = {name: getattr(header, name) for name in plan if name not in ("photos", "source")}
    _same_plan(path, {**found, "source": header.source["form"], "photos": header.plan}, plan)
    return Store.open(path)


def _tasks(source: Source, path: Path, settings: Settings) -> list[Task]:
    tasks = []
    for name, split in source.splits.items():
        starts = range(0, len(split), RECORDS)
        for number, start in enumerate(starts):
            stop = min(start + RECORDS, len(split))
            tasks.append(Task(path, name, number, start, stop, settings))
    return tasks


def _check_space(path: Path, settings: Settings, images: int) -> None:
    """WorkError where the disk has less room than the images to come will take."""
    area = settings.side**2 * (1.4 if settings.shape == "whole" else 1)
    needed = int(images * area * _BYTES_PER_PIXEL[settings.encoding])
    free = shutil.disk_usage(path).free
    if needed > free:
        raise WorkError(
            f"{path} needs about {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free: "
            "make room, or use a smaller --side or --encoding jpeg"
        )


def _check_readable(notes: dict[Task, ShardNote], source: Source, strict: bool) -> None:
    unreadable = {key: why for note in notes.values() for key, why in note.unreadable.items()}
    if strict and unreadable:
        listed = ", ".join(f"{key} ({why})" for key, why in unreadable.items())
        raise DataError(f"{len(unreadable)} unreadable photos: {listed}; without --strict they are left out")
    counts = np.zeros(len(source.classes), np.int64)
    for task, note in notes.items():
        if task.split == statistics_split(source):
            counts += np.bincount(note.labels, minlength=len(counts))
    empty = [source.classes[label].wnid for label in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(f"no readable training photo of {', '.join(empty)}: add some, or remove the class")


def _finish(
    path: Path, source: Source, settings: Settings, plan: dict[str, Any], notes: dict[Task, ShardNote]
) -> Store:
    """Writes mean image and header, removes the notes."""
    statistics = ColorStatistics.empty(settings.side)
    for task in notes:
        if task.split == statistics_split(source):
            statistics.merge(ColorStatistics.load(statistics_path(task.note_path)))
    pixels = io.BytesIO()
    np.save(pixels, statistics.mean_image)
    write_atomically(path / MEAN_IMAGE, pixels.getvalue())
    write_header(path, _header(source, settings, plan, notes, statistics))
    for left in [path / PLAN, *path.glob(f"*{NOTE_SUFFIX}"), *path.glob("*.statistics.npz")]:
        left.unlink()
    return Store.open(path)


def _header(
    source: Source,
    settings: Settings,
    plan: dict[str, Any],
    notes: dict[Task, ShardNote],
    statistics: ColorStatistics,
) -> Header:
    eigenvalues, eigenvectors = statistics.axes()
    return Header(
        version=VERSION,
        **settings.to_dict(),
        resampling=FILTER,
        source={"form": source.form, "photos": {name: len(split) for name, split in source.splits.items()}},
        plan=plan["photos"],
        splits={name: _split_entry(name, notes) for name in source.splits},
        classes=tuple(source.classes),
        statistics_split=statistics_split(source),
        channel_mean=_triple(statistics.channel_mean),
        mean_image=MEAN_IMAGE,
        color_covariance=_triple(map(_triple, statistics.covariance)),
        color_eigenvalues=_triple(eigenvalues),
        color_eigenvectors=_triple(map(_triple, eigenvectors)),
        odd=_odd(notes),
        unreadable=tuple(
            UnreadableFile(task.split, key, why)
            for task, note in notes.items()
            for key, why in note.unreadable.items()
        ),
    )


def statistics_split(source: Source) -> str:
    """The split that mean and covariance are of: `train`, or the first where there is none."""
    return "train" if "train" in source.splits else next(iter(source.splits))


def _split_entry(name: str, notes: dict[Task, ShardNote]) -> SplitEntry:
    shards = [
        ShardEntry(task.file, len(note.labels), note.bytes, note.sha256)
        for task, note in notes.items()
        if task.split == name
    ]
    return SplitEntry(sum(shard.count for shard in shards), tuple(shards))


def _odd(notes: dict[Task, ShardNote]) -> dict[str, OddFiles]:
    by_kind: dict[str, list[str]] = {}
    for task, note in notes.items():
        for key, kinds in note.odd.items():
            for kind in kinds:
                by_kind.setdefault(kind, []).append(f"{task.split}/{key}")
    return {kind: OddFiles(len(keys), tuple(keys[:ODD_LISTED])) for kind, keys in by_kind.items()}


def _triple(values: Iterable[Any]) -> Any:
    first, second, third = (value if isinstance(value, tuple) else float(value) for value in values)
    return first, second, third
