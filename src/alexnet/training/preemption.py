"""Stopping early, at a signal or a time limit, in one or several processes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any

from alexnet import distributed
from alexnet.errors import Stopped
from alexnet.stopping import begin, stop_once

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Interruption(AbstractContextManager["Interruption"]):
    """While the context is open, Ctrl-C, SIGTERM and SIGUSR1 only request a stop; a second Ctrl-C stops at
    once.

    `reason` is why to stop, such as "by SIGTERM"; empty while no stop is requested.
    """

    def __init__(self, minutes: float | None = None, agree_every_steps: int = 1):
        """A stop is also requested after `minutes`; processes agree on it every `agree_every_steps` steps."""
        self.reason = ""
        self._minutes = minutes
        self._agree_every_steps = agree_every_steps
        self._start = time.monotonic()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            begin()
            self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wanted(self, step: int) -> bool:
        """Whether to stop after `step` updates: the same in all processes, all of which must call this."""
        if self._minutes is not None and time.monotonic() - self._start >= 60 * self._minutes:
            self.reason = self.reason or f"after {self._minutes:g} minutes"
        if step % self._agree_every_steps:
            return False
        reasons = [reason for reason in distributed.gather_objects(self.reason) if reason]
        self.reason = reasons[0] if reasons else ""
        return bool(reasons)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason and number == signal.SIGINT:
            stop_once(KeyboardInterrupt())
            return
        self.reason = f"by {signal.Signals(number).name}"


@contextmanager
def stopping(advice: str) -> Generator[None, None, None]:
    """A context in which `SIGNALS` raise `Stopped`; `advice` is how to resume."""

    def stop(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        stop_once(Stopped(f"stopped by {name}; finished work is kept, {advice}"), number)

    begin()
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
