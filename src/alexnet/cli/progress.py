"""Progress of long work: a bar with rate and time left on a terminal, plain lines otherwise, or nothing.

It is written to standard error, so standard output has results only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping
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
    for `--json`; only `fit` shows its progress then, too, since it takes minutes.
    """
    if silent:
        return _nothing()
    description = printable(description)
    if sys.stderr.isatty():
        return _bar(description, total, done, unit)
    return _lines(description, total, done, unit, sys.stderr, time.monotonic)


@contextmanager
def _nothing() -> Generator[Advance, None, None]:
    def advance(count: int = 1, note: str = "", total: int | None = None, metric: str = "") -> None:
        pass

    yield advance


@contextmanager
def _bar(description: str, total: int | None, done: int, unit: str) -> Generator[Advance, None, None]:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
    from rich.progress_bar import ProgressBar
    from rich.table import Column, Table
    from rich.text import Text

    console = Console(stderr=True)

    class Line(ProgressColumn):
        """The bar and what fits beside it, in one line."""

        def render(self, task: Task) -> Table:
            left = task.time_remaining
            parts = {
                "description": description,
                "counts": _counts(int(task.completed), task.total, unit),
                "rate": task.fields["rate"],
                "elapsed": _clock_time(task.elapsed or 0),
                "left": "-:--:--" if left is None else f"{_clock_time(left)} left",
                "metric": task.fields["metric"],
                "note": task.fields["note"],
            }
            shown, width = parts_that_fit(parts, console.width)
            bar = ProgressBar(total=task.total, completed=task.completed, width=width)
            cells: list[ProgressBar | Text] = [Text(parts[name]) for name in shown]
            cells.insert(1 if shown[:1] == ["description"] else 0, bar)
            line = Table.grid(*(Column(no_wrap=True) for _ in cells), padding=(0, 1, 0, 0), pad_edge=False)
            line.add_row(*cells)
            return line

    with Progress(Line(table_column=Column(no_wrap=True)), console=console) as progress:
        task = progress.add_task(description, total=total, completed=done, rate="", note="", metric="")
        pace = _Pace(time.monotonic)
        last_note, last_metric = "", ""

        def advance(count: int = 1, note: str = "", total: int | None = None, metric: str = "") -> None:
            nonlocal last_note, last_metric
            pace.add(count)
            last_note, last_metric = note or last_note, metric or last_metric
            progress.update(
                task, advance=count, total=total, rate=pace.text(), note=last_note, metric=last_metric
            )

        yield advance


_IMPORTANCE = ("left", "metric", "description", "counts", "rate", "elapsed", "note")
"""The parts of a progress bar, those that a narrow terminal keeps first."""
_SMALL_BAR, _BAR, _LARGEST_BAR = 5, 15, 40
"""Columns of the bar: the least below 60 columns, the least of others, and the most."""


def parts_that_fit(parts: Mapping[str, str], width: int) -> tuple[list[str], int]:
    """The names of the parts that are shown beside the bar, in the order of `parts`, and the bar's width.

    Everything has `width` columns, with a space between parts; empty parts are left out.
    """
    from rich.cells import cell_len

    least = _BAR if width >= 60 else _SMALL_BAR
    room, shown = width - least, set[str]()
    for name in _IMPORTANCE:
        needed = cell_len(parts[name]) + 1
        if parts[name] and needed <= room:
            shown.add(name)
            room -= needed
    return [name for name in parts if name in shown], min(_LARGEST_BAR, max(1, least + room))


@contextmanager
def _lines(
    description: str, total: int | None, done: int, unit: str, stream: TextIO, clock: Callable[[], float]
) -> Generator[Advance, None, None]:
    shown, pace = clock(), _Pace(clock)
    last_note, last_metric, up_to_date, all_units = "", "", False, total

    def show() -> None:
        nonlocal shown, up_to_date
        shown, up_to_date = clock(), True
        reached = done + pace.counted
        left = ""
        if all_units is not None and pace.rate:
            left = f"{_clock_time((all_units - reached) / pace.rate)} left"
        counts = f"{description}: {_counts(reached, all_units, unit)}"
        stream.write(", ".join(filter(None, (counts, pace.text(), left, last_note, last_metric))) + "\n")
        stream.flush()

    def advance(count: int = 1, note: str = "", total: int | None = None, metric: str = "") -> None:
        nonlocal last_note, last_metric, up_to_date, all_units
        pace.add(count)
        all_units = all_units if total is None else total
        up_to_date = False
        last_note, last_metric = note or last_note, metric or last_metric
        if clock() - shown >= PLAIN_INTERVAL_SECONDS:
            show()

    try:
        yield advance
    finally:
        if pace.counted and not up_to_date:
            show()


def _counts(reached: int, total: float | None, unit: str) -> str:
    return f"{reached}{'' if total is None else f'/{total:.0f}'} {unit}".rstrip()


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
