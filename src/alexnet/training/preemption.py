"""Stopping early, at a signal or a time limit, in one or several processes."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

from alexnet import distributed
from alexnet.errors import Interrupted
from alexnet.stopping import SIGNALS, begin, stop_once, wind_up


class Interruption(AbstractContextManager["Interruption"]):
    """While the context is open, Ctrl-C, SIGTERM and SIGUSR1 only request a stop; a second Ctrl-C before the
    stop is carried out stops at once.

    `reason` is why to stop, such as "by SIGTERM"; empty while no stop is requested.
    """

    def __init__(self, minutes: float | None = None, agree_every_steps: int = 1):
        """A stop is also requested after `minutes`; processes agree on it every `agree_every_steps` steps."""
        self.reason = ""
        self._minutes = minutes
        self._agree_every_steps = agree_every_steps
        self._start = time.monotonic()
        self._before: dict[int, Any] = {}
        self._signaled = self._any_signaled = False

    @property
    def timed_out(self) -> bool:
        """Whether a stop is requested by the time limit, and not by a signal to any process."""
        return bool(self.reason) and not (self._signaled or self._any_signaled)

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
        gathered = distributed.gather_objects((self.reason, self._signaled))
        reasons = [reason for reason, _ in gathered if reason]
        self.reason = reasons[0] if reasons else ""
        self._any_signaled = any(signaled for _, signaled in gathered)
        if self._any_signaled:
            wind_up()
        return bool(reasons)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signaled and number == signal.SIGINT:
            stop_once(Interrupted("interrupted"), number, frame)
            return
        self._signaled = True
        self.reason = f"by {signal.Signals(number).name}"
