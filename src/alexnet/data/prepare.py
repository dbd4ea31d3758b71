"""Source to store: decode, resize, encode, in parallel and by shards; a stopped one goes on where it was.

A shard is written under a temporary name and renamed when it is complete; then its colour sums, and last a
note of what is in it. A shard with a note is done, whatever was killed when. The header is written when all
shards are done, and makes the folder a store.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from alexnet.data.finish import finish, refuse_unreadable
from alexnet.data.header import HEADER_FILE
from alexnet.data.plan import Plan, begin, check_finished, clear, forget, make_plan
from alexnet.data.settings import Settings
from alexnet.data.shard import RECORDS
from alexnet.data.shard_task import Task, read_note
from alexnet.data.sources import Source
from alexnet.data.store import Store
from alexnet.data.workers import run_tasks
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.files import CannotWrite, only_we
from alexnet.machine import cores

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
            _make(source, path, settings, plan, workers or cores(), strict, progress)
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
    with only_we(path):
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
