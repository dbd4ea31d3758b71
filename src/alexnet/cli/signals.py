"""Ctrl-C and SIGTERM during resumable work: `Stopped`, exit code 75."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from alexnet.errors import Stopped


@contextmanager
def stopping(advice: str) -> Generator[None, None, None]:
    """A context in which SIGTERM and Ctrl-C raise `Stopped`; `advice` is how to resume."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(f"stopped by {signal.Signals(number).name}; finished work is kept, {advice}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
