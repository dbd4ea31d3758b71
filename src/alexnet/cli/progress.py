"""Progress of long work: a bar with rate and time left on a terminal, plain lines otherwise, or nothing.

It goes to standard error, so that standard output holds results only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

PLAIN_INTERVAL_SECONDS = 10.0
"""Plain lines are at least this far apart, but for the last."""


class Advance(Protocol):
    """Called as work is done."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """`count` more units are done; `note` (kept until the next one) is shown behind the rate."""
        ...


def progress_bar(
    description: str, total: int | None, *, done: int = 0, unit: str = "", silent: bool = False
) -> AbstractContextManager[Advance]:
    """`with progress_bar("preparing", 1000, unit="images") as advance: advance(32)`.

    `total` is None where it is not known; `done` units were done before (a resumed run); `silent` shows
    nothing, as commands with `--json` want it.
    """
    if silent:
        return _nothing()
    if sys.stderr.isatty():
        return _bar(description, total, done, unit)
    return _lines(description, total, done, unit, sys.stderr, time.monotonic)


@contextmanager
def _nothing() -> Generator[Advance, None, None]:
    def advance(count: int = 1, note: str = "") -> None:
        pass

    yield advance


@contextmanager
def _bar(description: str, total: int | None, done: int, unit: str) -> Generator[Advance, None, None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total, completed=done, unit=unit, rate="", note="")
        started, counted, last_note = time.monotonic(), 0, ""

        def advance(count: int = 1, note: str = "") -> None:
            nonlocal counted, last_note
            counted += count
            last_note = note or last_note
            rate = f"{_rate(counted, time.monotonic() - started)}/s"
            progress.update(task, advance=count, rate=rate, note=last_note)

        yield advance


@contextmanager
def _lines(
    description: str, total: int | None, done: int, unit: str, stream: TextIO, clock: Callable[[], float]
) -> Generator[Advance, None, None]:
    started = shown = clock()
    counted, last_note, up_to_date = 0, "", False

    def show() -> None:
        nonlocal shown, up_to_date
        shown, up_to_date = clock(), True
        seconds = clock() - started
        reached = f"{done + counted}" + ("" if total is None else f"/{total}") + (f" {unit}" if unit else "")
        parts = [f"{description}: {reached}", f"{_rate(counted, seconds)}/s"]
        if total is not None and counted:
            parts.append(f"{_clock_time((total - done - counted) * seconds / counted)} left")
        stream.write(", ".join([*parts, *([last_note] if last_note else [])]) + "\n")
        stream.flush()

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal counted, last_note, up_to_date
        counted, up_to_date = counted + count, False
        last_note = note or last_note
        if clock() - shown >= PLAIN_INTERVAL_SECONDS:
            show()

    try:
        yield advance
    finally:
        if not up_to_date:
            show()


def _rate(count: int, seconds: float) -> str:
    rate = count / max(seconds, 1e-9)
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
