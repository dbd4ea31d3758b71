"""Progress of long work: a bar with rate and time left on a terminal, plain lines otherwise, or nothing.

It is written to standard error, so standard output has results only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from alexnet.progress import Advance
from alexnet.text import printable

PLAIN_INTERVAL_SECONDS = 10.0
"""Least time between plain lines, except for the last one."""


def progress_bar(
    description: str, total: int | None, *, done: int = 0, unit: str = "", silent: bool = False
) -> AbstractContextManager[Advance]:
    """`with progress_bar("preparing", 1000, unit="images") as advance: advance(32)`.

    `total` is None if it is unknown; `done` units were done before (a resumed run); `silent` shows nothing,
    for `--json`.
    """
    if silent:
        return _nothing()
    description = printable(description)
    if sys.stderr.isatty():
        return _bar(description, total, done, unit)
    return _lines(description, total, done, unit, sys.stderr, time.monotonic)


@contextmanager
def _nothing() -> Generator[Advance, None, None]:
    def advance(count: int = 1, note: str = "", total: int | None = None) -> None:
        pass

    yield advance


@contextmanager
def _bar(description: str, total: int | None, done: int, unit: str) -> Generator[Advance, None, None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total, completed=done, unit=unit, rate="", note="")
        pace, last_note = _Pace(time.monotonic), ""

        def advance(count: int = 1, note: str = "", total: int | None = None) -> None:
            nonlocal last_note
            pace.add(count)
            last_note = note or last_note
            progress.update(task, advance=count, total=total, rate=pace.text(), note=last_note)

        yield advance


@contextmanager
def _lines(
    description: str, total: int | None, done: int, unit: str, stream: TextIO, clock: Callable[[], float]
) -> Generator[Advance, None, None]:
    shown, pace = clock(), _Pace(clock)
    last_note, up_to_date, all_units = "", False, total

    def show() -> None:
        nonlocal shown, up_to_date
        shown, up_to_date = clock(), True
        reached = done + pace.counted
        counts = f"{reached}" + ("" if all_units is None else f"/{all_units}") + (f" {unit}" if unit else "")
        left = ""
        if all_units is not None and pace.rate:
            left = f"{_clock_time((all_units - reached) / pace.rate)} left"
        parts = (f"{description}: {counts}", pace.text(), left, last_note)
        stream.write(", ".join(part for part in parts if part) + "\n")
        stream.flush()

    def advance(count: int = 1, note: str = "", total: int | None = None) -> None:
        nonlocal last_note, up_to_date, all_units
        pace.add(count)
        all_units = all_units if total is None else total
        up_to_date = False
        last_note = note or last_note
        if clock() - shown >= PLAIN_INTERVAL_SECONDS:
            show()

    try:
        yield advance
    finally:
        if pace.counted and not up_to_date:
            show()


class _Pace:
    """Units per second, not counting the first call, which may include work of an earlier process or the
    start-up.
    """

    def __init__(self, clock: Callable[[], float]):
        self.counted, self._first, self._begun, self._clock = 0, 0, 0.0, clock

    def add(self, count: int) -> None:
        if not self.counted:
            self._first, self._begun = count, self._clock()
        self.counted += count

    @property
    def rate(self) -> float:
        """Units per second; 0 while it is unknown."""
        return (self.counted - self._first) / max(self._clock() - self._begun, 1e-9)

    def text(self) -> str:
        """Such as `1,234/s`; empty while it is unknown."""
        rate = self.rate
        return "" if not rate else f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
