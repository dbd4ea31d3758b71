"""How long-running work reports its progress: the command line shows a bar, a notebook may show nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Advance(Protocol):
    """Function that is called as work progresses."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """Reports that `count` more units are done; `note` is shown after the rate until the next one."""
        ...


ProgressFactory = Callable[[int, int], AbstractContextManager[Advance]]
"""`with progress(total, done) as advance:` where `done` of `total` units were done by an earlier process."""


def no_progress(total: int, done: int) -> AbstractContextManager[Advance]:
    """Shows nothing."""
    return nullcontext(_ignore)


def _ignore(count: int = 1, note: str = "") -> None:
    pass
