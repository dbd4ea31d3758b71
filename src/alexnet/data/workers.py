"""Worker processes for `prepare`: each opens the source itself, and ends when its parent does."""

from __future__ import annotations

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
from pathlib import Path
from typing import Any

import torch

from alexnet.data.decode import quiet
from alexnet.data.shard_task import Task, make_shard
from alexnet.data.sources import Source
from alexnet.errors import WorkError
from alexnet.machine import keep_freed_memory

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
