"""One shard of a store made from its part of a source: what a worker process of `prepare` does."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
import torch

from alexnet.data.boxes import area, central_window, clip, to_window
from alexnet.data.decode import Pixels, UnreadableImage, decode, in_channels, oddities, quiet
from alexnet.data.resize import crop_offset, pad, resized_size, to_square, to_whole, warp
from alexnet.data.sources import Box, Example, Source, SourceSplit
from alexnet.data.statistics import ColorStatistics
from alexnet.data.store import Row, write_shard
from alexnet.errors import DataError, WorkError
from alexnet.hardware import keep_freed_memory
from alexnet.io import file_sha256, unfinished_path, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alexnet.data.manifest import Settings

NOTE_SUFFIX = ".note.json"


@dataclass(frozen=True)
class Task:
    """Photos `start` .. `stop` of a split into one file."""

    folder: Path
    split: str
    number: int
    start: int
    stop: int
    settings: Settings

    @property
    def file(self) -> str:
        """The shard's name in the store."""
        return f"{self.split}-{self.number:05}.arrow"

    @property
    def note_path(self) -> Path:
        """The note that says the shard is done."""
        return (self.folder / self.file).with_suffix(NOTE_SUFFIX)


@dataclass
class ShardNote:
    """What is in a finished shard."""

    bytes: int = 0
    sha256: str = ""
    labels: list[int] = field(default_factory=list[int])
    odd: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    longest_side: int = 0
    """In pixels, of any photo as it was found."""


def read_note(path: Path) -> ShardNote:
    """The note of a finished shard."""
    return ShardNote(**json.loads(path.read_text()))


def statistics_path(note_path: Path) -> Path:
    """Where the sums of the shard with that note lie."""
    return note_path.with_name(note_path.name.removesuffix(NOTE_SUFFIX) + ".statistics.npz")


def make_shard(split: SourceSplit, task: Task, count: Callable[[], None]) -> None:
    """Writes the shard, its sums and, last of all, its note; calls `count` after every photo."""
    note, statistics = ShardNote(), ColorStatistics.empty(task.settings.side, task.settings.channels)
    final = task.folder / task.file
    unfinished = unfinished_path(final)
    write_shard(unfinished, _rows(split, task, note, statistics, count))
    note.bytes, note.sha256 = unfinished.stat().st_size, file_sha256(unfinished)
    unfinished.replace(final)
    write_whole(statistics_path(task.note_path), statistics.to_bytes())
    write_whole(task.note_path, json.dumps(asdict(note)).encode())


def _rows(
    split: SourceSplit, task: Task, note: ShardNote, statistics: ColorStatistics, count: Callable[[], None]
) -> Iterator[Row]:
    """The shard's records; what is odd or unreadable goes into `note`, colors into `statistics`."""
    for index in range(task.start, task.stop):
        example = split[index]
        try:
            odd = _odd(example, task.settings)
            row = _row(example, task.settings, statistics)
        except UnreadableImage as error:
            note.unreadable[example.key] = str(error)
        else:
            if odd:
                note.odd[example.key] = odd
            note.labels.append(example.label)
            note.longest_side = max(note.longest_side, row.width, row.height)
            yield row
        count()


def _row(example: Example, settings: Settings, statistics: ColorStatistics) -> Row:
    photo = in_channels(decode(example.image, settings.exif), settings.channels)
    if settings.resize == "pad":
        _refuse_too_large(example.key, photo, settings.side)
    stored = resize(photo, settings)
    statistics.add(_center(stored, settings.side))
    height, width = photo.shape[:2]
    boxes = tuple(moved for box in example.boxes if (moved := move_box(box, height, width, settings)))
    return Row(encode(stored, settings), example.label, example.key, width, height, boxes)


def resize(photo: Pixels, settings: Settings) -> Pixels:
    """The photo (H, W, channels) as it is stored; one that is padded must not be larger than that."""
    if settings.resize == "pad":
        return pad(photo, settings.side)
    if settings.resize == "warp":
        return warp(photo, settings.side)
    return (to_whole if settings.shape == "whole" else to_square)(photo, settings.side)


def _refuse_too_large(key: str, photo: Pixels, side: int) -> None:
    height, width = photo.shape[:2]
    if max(height, width) > side:
        raise DataError(
            f"{key}: {width}x{height} pixels do not fit into a square of {side}: type --side "
            f"{max(height, width)} or more, or --resize crop"
        )


def _odd(example: Example, settings: Settings) -> list[str]:
    """What is unusual about a photo and its boxes; to be gray is not, where all are stored so."""
    usual = {"gray"} if settings.channels == 1 else set[str]()
    return [kind for kind in oddities(example.image, example.key) if kind not in usual] + list(example.odd)


def encode(stored: Pixels, settings: Settings) -> bytes:
    """The stored bytes of an image."""
    stored = np.ascontiguousarray(stored)
    if settings.encoding == "raw":
        return stored.tobytes()
    subsampling = settings.subsampling.replace(":", "")
    if settings.channels == 1:
        return simplejpeg.encode_jpeg(stored, settings.quality, "GRAY", "Gray", fastdct=False)
    return simplejpeg.encode_jpeg(stored, settings.quality, "RGB", subsampling, fastdct=False)


def move_box(box: Box, height: int, width: int, settings: Settings) -> Box | None:
    """The box in shares of the stored picture, clipped to it; None where nothing of it is left."""
    if settings.resize == "warp" or settings.shape == "whole":
        return box
    sizes = (height, width)
    if settings.resize != "pad":
        sizes = resized_size(height, width, settings.side)
    moved = clip(to_window(box[1:], central_window(*sizes, settings.side)))
    return Box(box.label, *moved.tolist()) if area(moved) > 0 else None


def _center(stored: Pixels, side: int) -> Pixels:
    top, left = crop_offset(stored.shape[0], stored.shape[1], side)
    return stored[top : top + side, left : left + side]


_POLL_SECONDS = 0.2
_own: dict[str, Any] = {}
"""What a worker process was given at its start: the source and the shared counter."""


def run_tasks(source: Source, tasks: Sequence[Task], workers: int, progress: Callable[[int], None]) -> None:
    """Makes all shards; `progress(count)` as images get done. WorkError where a worker dies.

    One worker is this process itself, which saves the seconds that another takes to start.
    """
    if min(workers, len(tasks)) <= 1:
        _run_here(source, tasks, progress)
    else:
        _run_in_processes(source, tasks, min(workers, len(tasks)), progress)


def _run_here(source: Source, tasks: Sequence[Task], progress: Callable[[int], None]) -> None:
    with one_thread(), quiet():
        for task in tasks:
            make_shard(source.splits[task.split], task, lambda: progress(1))


@contextmanager
def one_thread() -> Generator[None]:
    """torch without helping threads: on photos they wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run_in_processes(
    source: Source, tasks: Sequence[Task], workers: int, progress: Callable[[int], None]
) -> None:
    # Spawned, not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    # By way of a file: handed over at the start, a large source keeps us waiting for each process's imports.
    with tempfile.NamedTemporaryFile() as handed:
        pickle.dump(source, handed)
        handed.flush()
        pool = ProcessPoolExecutor(workers, context, _start, (handed.name, counter))
        try:
            _watch(_submit(pool, tasks), counter, progress)
        except BaseException:
            _end(pool)
            raise
        pool.shutdown()


def _submit(pool: ProcessPoolExecutor, tasks: Sequence[Task]) -> list[Future[None]]:
    """Starts the processes from a thread with Ctrl-C blocked.

    They inherit that and so never see it, not even while they import: it reaches us, and we end them. And no
    signal's exception, which the main thread gets, comes between a process's start and its entry in the pool.
    """

    def submit() -> list[Future[None]]:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return [pool.submit(_make, task) for task in tasks]

    with ThreadPoolExecutor(1) as starter:
        return starter.submit(submit).result()


def _watch(futures: list[Future[None]], counter: Any, progress: Callable[[int], None]) -> None:
    told, pending = 0, set(futures)
    while pending:
        done, pending = wait(pending, _POLL_SECONDS, FIRST_EXCEPTION)
        now = counter.value
        progress(now - told)
        told = now
        for future in done:
            _result(future)


def _result(future: Future[None]) -> None:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise WorkError(
            "a worker process was killed (out of memory? or a script that calls prepare outside of "
            "`if __name__ == '__main__':`?): the same command goes on, --workers 1 takes less"
        ) from error


def _end(pool: ProcessPoolExecutor) -> None:
    """Stops the workers at once: what they had not finished is made anew next time."""
    for process in list(pool._processes.values()):  # pyright: ignore[reportPrivateUsage]
        process.terminate()
    pool.shutdown(cancel_futures=True)


def _start(source_path: str, counter: Any) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own.update(source=pickle.loads(Path(source_path).read_bytes()), counter=counter)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(task: Task) -> None:
    def count() -> None:
        with _own["counter"].get_lock():
            _own["counter"].value += 1

    with quiet():
        make_shard(_own["source"].splits[task.split], task, count)
