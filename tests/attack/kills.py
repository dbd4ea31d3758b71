"""Kills at a chosen moment: from then on a process changes no file, whatever its code still tries."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

MOMENTS = ("rename", "replace", "fsync", "unlink", "rmdir", "mkdir", "symlink", "link")
"""Functions of `os` before each call of which the process may be killed."""


_NO_PROCESS = 999_999_999


class Killed(BaseException):
    """The simulated kill; nothing in the package catches it."""


class Killer:
    """Counts the calls of `MOMENTS`; from call number `at`, counted from 0, each raises `Killed` instead."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.calls = at, 0
        self.names: list[str] = []

    def guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, until the kill."""

        def call(*arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return function(*arguments, **options)  # TensorBoard's, whose files nothing reads
            if self.at is not None and self.calls >= self.at:
                raise Killed(f"before call {self.calls}, {name}")
            self.calls += 1
            self.names.append(name)
            return function(*arguments, **options)

        return call


@contextmanager
def killed_at(at: int | None = None) -> Generator[Killer]:
    """Kills what runs inside before call number `at` of `MOMENTS`; None only counts them.

    Clean-up code runs as well, as it would not in a killed process, but cannot change a file any more.
    """
    killer = Killer(at)
    patches = {name: killer.guarded(name, getattr(os, name)) for name in MOMENTS}
    if at is not None:
        patches["getpid"] = lambda: _NO_PROCESS  # what it leaves is not that of a running process
    with mock.patch.multiple(os, **patches):
        try:
            yield killer
        except Killed:
            return


def count(work: Callable[[], object]) -> int:
    """The number of moments at which `work` can be killed."""
    with killed_at() as killer:
        work()
    return killer.calls
