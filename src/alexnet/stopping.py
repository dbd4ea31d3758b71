"""Stopping once: however often a signal arrives, the work is wound up without being interrupted again."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

IMPATIENT_SECONDS = 3
"""After this time one more Ctrl-C ends the process at once."""
_INTERRUPTED = 130

_stopped_at: float | None = None


def begin() -> None:
    """To be called where work begins that a signal may stop."""
    global _stopped_at
    _stopped_at = None


def stop_once(error: BaseException, number: int = signal.SIGINT) -> None:
    """Raises `error` at the first call; later calls have no effect.

    After `IMPATIENT_SECONDS`, one more Ctrl-C ends the process; `number` is that of the signal.
    """
    global _stopped_at
    now = time.monotonic()
    if _stopped_at is None:
        _stopped_at = now
        raise error
    if number == signal.SIGINT and now - _stopped_at > IMPATIENT_SECONDS:
        os._exit(_INTERRUPTED)


def end() -> None:
    """To be called at the end of a process: from now on Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def interrupt_once() -> None:
    """Makes the first Ctrl-C raise KeyboardInterrupt and later ones not; nothing if Ctrl-C is ignored."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    stop_once(KeyboardInterrupt())
