"""Runs the tasks of `prepare` in worker processes, with one progress count and a clean end in every case."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch

from alexnet.data.decode import quiet
from alexnet.data.sources import Source, SourceSplit
from alexnet.errors import WorkError
from alexnet.hardware import keep_freed_memory


class SplitTask(Protocol):
    """A part of a split, and what is to be done with its photos; small enough to be sent to a process."""

    @property
    def split(self) -> str:
        """The name of the split."""
        ...

    def make(self, split: SourceSplit, count: Callable[[], None]) -> None:
        """Writes its results; calls `count` after every photo."""
        ...


_POLL_SECONDS = 0.2
_MAIN = "__main__"


_worker: dict[str, Any] = {}
"""In a worker process: the source and the shared counter, which it gets at its start."""


def make_all(
    source: Source, tasks: Sequence[SplitTask], workers: int, progress: Callable[[int], None]
) -> None:
    """Does all tasks; calls `progress(count)` as images are finished. WorkError if a worker process dies.

    One worker is this process itself, which saves the seconds that starting another takes.
    """
    if min(workers, len(tasks)) <= 1:
        _make_here(source, tasks, progress)
    else:
        _make_in_processes(source, tasks, min(workers, len(tasks)), progress)


@contextmanager
def one_thread() -> Generator[None]:
    """One torch thread: on single photos, several spend more time waiting for each other than working."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _make_here(source: Source, tasks: Sequence[SplitTask], progress: Callable[[int], None]) -> None:
    with one_thread(), quiet():
        for task in tasks:
            task.make(source.splits[task.split], lambda: progress(1))


def _make_in_processes(
    source: Source, tasks: Sequence[SplitTask], workers: int, progress: Callable[[int], None]
) -> None:
    # Spawned, not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    # Through a file: as an argument, a large source would make us wait for the imports of each process.
    with tempfile.TemporaryDirectory() as folder:
        source_file = Path(folder, "source")
        pickled = pickle.dumps(source)
        source_file.write_bytes(pickled)
        pool = ProcessPoolExecutor(workers, context, _start_worker, (source_file, counter))
        try:
            _wait(_submit(pool, tasks, _MAIN.encode() in pickled), counter, progress)
        except BaseException:
            _terminate(pool)
            raise
        pool.shutdown()


def _submit(pool: ProcessPoolExecutor, tasks: Sequence[SplitTask], main: bool) -> list[Future[None]]:
    """Starts the processes from a thread with Ctrl-C blocked; with `main`, they import the main script.

    They inherit the block and never see Ctrl-C, not even while they import; this process gets it and ends
    them. The thread also keeps a signal's exception, which the main thread gets, from coming between the
    start of a process and its entry in the pool. Windows cannot block signals: there, a process ignores
    Ctrl-C only once it has started.
    """

    def submit() -> list[Future[None]]:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with nullcontext() if main else _no_main_script():
            return [pool.submit(_make_in_worker, task) for task in tasks]

    with ThreadPoolExecutor(1) as starter:
        return starter.submit(submit).result()


@contextmanager
def _no_main_script() -> Generator[None]:
    """Processes that start meanwhile do not import the main script, which then needs no main guard.

    `multiprocessing` tells a process to import the file of the module `__main__`. For a moment there is
    another one, without a file.
    """
    main = sys.modules[_MAIN]
    sys.modules[_MAIN] = ModuleType(_MAIN)
    try:
        yield
    finally:
        sys.modules[_MAIN] = main


def _wait(futures: list[Future[None]], counter: Any, progress: Callable[[int], None]) -> None:
    reported, pending = 0, set(futures)
    while pending:
        done, pending = wait(pending, _POLL_SECONDS, FIRST_EXCEPTION)
        now = counter.value
        progress(now - reported)
        reported = now
        for future in done:
            _raise_failure(future)


def _raise_failure(future: Future[None]) -> None:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise WorkError(
            "a worker process was killed (out of memory?): run the same command again to continue; "
            "--workers 1 needs less memory"
        ) from error


def _terminate(pool: ProcessPoolExecutor) -> None:
    """Stops the workers at once: their unfinished shards are made again next time."""
    for process in list(pool._processes.values()):  # pyright: ignore[reportPrivateUsage]
        process.terminate()
    pool.shutdown(cancel_futures=True)


def _start_worker(source_file: Path, counter: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    keep_freed_memory()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _worker.update(source=pickle.loads(source_file.read_bytes()), counter=counter)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make_in_worker(task: SplitTask) -> None:
    def count() -> None:
        with _worker["counter"].get_lock():
            _worker["counter"].value += 1

    with quiet():
        task.make(_worker["source"].splits[task.split], count)
