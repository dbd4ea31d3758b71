"""Ctrl-C and SIGTERM on work that can go on later: `Stopped`, exit code 75."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from alexnet.errors import Stopped


@contextmanager
def stopping(go_on: str) -> Generator[None, None, None]:
    """Within it SIGTERM and Ctrl-C raise `Stopped`; `go_on` says how to continue."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(f"stopped by {signal.Signals(number).name}; what is finished is kept, {go_on}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
