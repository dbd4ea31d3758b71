"""Which store a folder is to become: written first, so that half-done work goes on as what it began as."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.manifest import (
    HEADER_FILE,
    VERSION,
    Header,
    OddFiles,
    Settings,
    ShardEntry,
    SplitEntry,
    UnreadableFile,
    read_header,
    write_header,
)
from alexnet.data.prepare_workers import ShardNote, Task, read_note, run_tasks, statistics_path
from alexnet.data.resize import FILTER
from alexnet.data.sources import Source
from alexnet.data.statistics import ColorStatistics
from alexnet.data.store import RECORDS, Store
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.hardware import cpu_count
from alexnet.io import CannotWrite, exclusive_lock, is_left_over, write_json, write_whole

Plan = dict[str, Any]
"""All settings, and what identifies the source."""

PLAN_FILE = "preparing.json"
_LEFT_BEHIND = (PLAN_FILE, "*.part", "*.note.json", "*.statistics.npz")


def make_plan(source: Source, settings: Settings) -> Plan:
    """What determines the store's bytes, but for the photos' own: half-done work is recognized by it."""
    facts = hashlib.sha256()
    for name, split in source.splits.items():
        facts.update(f"{name} {len(split)} ".encode() + split.labels.tobytes())
        for index in range(len(split)):
            facts.update(split.key(index).encode() + b"\n")
    facts.update(json.dumps([each.wnid for each in source.classes]).encode())
    return {"version": VERSION, **settings.to_dict(), "source": source.form, "photos": facts.hexdigest()}


def begin(path: Path, plan: Plan) -> None:
    """Makes the folder, or finds it half done with the same plan; CommandError where it is something else."""
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is a file: choose another STORE")
    if (path / PLAN_FILE).exists():
        _same_plan(path, json.loads((path / PLAN_FILE).read_text()), plan)
    elif path.exists() and not all(map(is_left_over, path.iterdir())):
        raise CommandError(f"{path} is not empty and no store: choose another STORE")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / PLAN_FILE, plan)


def _same_plan(path: Path, found: Plan, wanted: Plan) -> None:
    found = {"channels": 3, **found}  # what stores were before they said
    differ = [
        f"{key} {found.get(key)} (now {wanted[key]})" for key in wanted if found.get(key) != wanted[key]
    ]
    if differ:
        what = ", ".join("other photos" if each.startswith("photos ") else each for each in differ)
        raise CommandError(f"{path} was prepared with {what}: use the same settings, or choose another STORE")


def check_finished(path: Path, plan: Plan) -> None:
    """CommandError where the store at `path` is of another plan."""
    header = read_header(path)
    found = {name: getattr(header, name) for name in plan if name not in ("photos", "source")}
    _same_plan(path, {**found, "source": header.source["form"], "photos": header.source["sha256"]}, plan)


def forget(path: Path) -> None:
    """Leaves the folder free for other settings, if nothing in it is done yet."""
    if not any(path.glob("*.note.json")):
        clear(path)


def clear(path: Path) -> None:
    """Removes all that only unfinished work needs."""
    for pattern in _LEFT_BEHIND:
        for left in path.glob(pattern):
            left.unlink(missing_ok=True)


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
            **({"classes": source.kept, "class_filter": source.class_filter} if source.kept else {}),
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


__all__ = ["Settings", "prepare"]

_DEFAULT = Settings()
_BYTES_PER_VALUE = {"jpeg": 0.27, "raw": 1.0}
"""For the estimate of disk space; quality 95 without subsampling takes about 0.2 at side 256."""


def prepare(
    source: Source,
    path: Path,
    settings: Settings = _DEFAULT,
    workers: int | None = None,
    strict: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Store:
    """The finished store at `path`; where it was finished before, its hashes are compared and no more done.

    `workers` processes (default: one per core); `progress(count)` is told of images done. Photos that can't
    be read are left out and listed in the header; with `strict` they are a DataError instead.
    CommandError where `path` holds something else, or lies in the source; WorkError where the disk is full.
    Nothing done is lost: the same call goes on.
    """
    if path.resolve().is_relative_to(source.path.resolve()):
        raise CommandError(f"{path} lies in the source, where nothing is ever written: choose another STORE")
    plan = make_plan(source, settings)
    finished = (path / HEADER_FILE).exists()
    try:
        if finished:
            check_finished(path, plan)
        else:
            _make(source, path, settings, plan, workers or cpu_count(), strict, progress)
        clear(path)
    except (OSError, CannotWrite) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        reason = "the disk is full" if full else error
        raise WorkError(f"{path}: {reason}; finished shards are kept, the same command goes on") from error
    store = Store.open(path, verify=finished)
    if strict:
        refuse_unreadable(store.header)
    return store


def _make(
    source: Source,
    path: Path,
    settings: Settings,
    plan: Plan,
    workers: int,
    strict: bool,
    progress: Callable[[int], None],
) -> None:
    tasks = _tasks(source, path, settings)
    begin(path, plan)
    with exclusive_lock(path):
        for part in path.glob("*.part"):
            part.unlink()
        missing = [task for task in tasks if not task.note_path.exists()]
        images, missing_images = (sum(task.stop - task.start for task in some) for some in (tasks, missing))
        progress(images - missing_images)
        _check_space(path, settings, missing_images)
        try:
            run_tasks(source, missing, workers, progress)
        except DataError:
            forget(path)
            raise
        notes = {task: read_note(task.note_path) for task in tasks}
        finish(path, source, settings, plan, notes, strict)


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
    needed = int(images * area * settings.channels * _BYTES_PER_VALUE[settings.encoding])
    free = shutil.disk_usage(path).free
    if needed > free:
        raise WorkError(
            f"{path} needs about {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free: "
            "make room, or use a smaller --side or --encoding jpeg"
        )
