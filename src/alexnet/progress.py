"""How long-running work reports its progress: the command line shows a bar, a notebook may show nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Advance(Protocol):
    """Function that is called as work progresses."""

    def __call__(self, count: int = 1, note: str = "", total: int | None = None, metric: str = "") -> None:
        """Reports that `count` more units are done; `note` is shown until the next one.

        `total` is a new total number of units, if it has changed. `metric`, a few words on the watched error,
        is shown even where there is no room for the note.
        """
        ...


Progress = Callable[[int, int], AbstractContextManager[Advance]]
"""`with progress(total, done) as advance:` where `done` of `total` units were done by an earlier process."""


ProgressBar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""`with progress_bar(title, total) as advance:` where `advance` is called with numbers of finished units."""


def no_progress(total: int, done: int) -> AbstractContextManager[Advance]:
    """Shows nothing."""
    return nullcontext(_ignore)


def no_progress_bar(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Shows nothing."""
    return nullcontext(lambda count: None)


def _ignore(count: int = 1, note: str = "", total: int | None = None, metric: str = "") -> None:
    pass
