"""Stopping at a signal: once, with one line and one exit code, however often the signal arrives.

A command takes the signals over with its first lines and keeps them until the process has ended. The first
signal raises `SignalReceived`, which unwinds the work; later ones have no effect. Where an exception would be
lost or misread, in the middle of an import or of a destructor, the process ends at once instead. Few modules
are imported here, since until then a Ctrl-C is Python's.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
import weakref

from alexnet.errors import AlexNetError, Interrupted, Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType
    from typing import Any, NoReturn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
IMPATIENT_SECONDS = 3
"""After this time one more Ctrl-C ends the process at once."""
_SHOW_CURSOR = b"\r\x1b[?25h"
_AGAIN, _RESUME = "run the same command again", "type the same command with --resume"
RESUMED_BY = {
    "quickstart": _AGAIN,
    "fetch": _AGAIN,
    "prepare": _AGAIN,
    "compose": _AGAIN,
    "ensemble": _AGAIN,
    "claims": _AGAIN,
    "similar": _AGAIN,
    "calibrate": _AGAIN,
    "evaluate": _AGAIN,
    "report": _AGAIN,
    "submit": _AGAIN,
    "train": _RESUME,
    "fit": _RESUME,
}
"""The verbs that SIGTERM and SIGUSR1 end with code 75 at any moment, and how each is resumed. What a verb has
begun it saves first, with handlers of its own."""


class SignalReceived(BaseException):
    """A signal wants the work to stop.

    No `Exception`: code that continues after a failure of its own work does not catch it.
    """

    def __init__(self, error: AlexNetError) -> None:
        super().__init__(str(error))
        self.error = error
        """What is printed, and the exit code."""


class _State:
    """What has arrived so far. A library that is only imported never changes it for long."""

    owned = False
    """Whether this process is a command, whose signals are all handled here."""
    stopped_at: float | None = None
    error: AlexNetError | None = None
    raised: weakref.ref[SignalReceived] | None = None
    exit_code: int | None = None
    """Set at the end of the command."""
    ended_at = 0.0
    shields = 0
    waiting = False
    """Whether the exception waits for the end of the last shield."""


_state = _State()


def take_over() -> None:
    """To be called where a command begins: from now on until its end no Ctrl-C prints a traceback.

    SIGTERM and SIGUSR1 end a verb of `RESUMED_BY` with code 75 from now on. In another thread than the main
    one it does nothing, and nothing about Ctrl-C if that is ignored, as after `nohup`.
    """
    handler = signal.getsignal(signal.SIGINT)
    if _state.owned or handler not in (signal.default_int_handler, signal.SIG_IGN):
        return
    try:
        signal.signal(signal.SIGINT, _interrupt if handler is not signal.SIG_IGN else handler)
    except ValueError:  # another thread
        return
    _state.owned = True
    sys.unraisablehook = _unraisable
    atexit.register(_leave)  # the first to be registered is the last to be called
    resumable(sys.argv[1:]).__enter__()  # without an end: its handlers stay until the process has ended


def owned() -> bool:
    """Whether `take_over` was called in this process."""
    return _state.owned


def begin() -> None:
    """To be called where work begins that a signal may stop; a command is stopped once only."""
    if not _state.owned:
        _state.stopped_at = _state.error = _state.raised = None


def wind_up() -> None:
    """To be called when a requested stop is carried out: further signals have no effect."""
    if _state.stopped_at is None:
        _state.stopped_at = time.monotonic()


def stop_once(error: AlexNetError, number: int, frame: FrameType | None) -> None:
    """For a handler of the signal `number`: stops the work with `error` at the first call.

    Raises `SignalReceived`, or KeyboardInterrupt for a Ctrl-C outside of commands. Later calls have no
    effect; after `IMPATIENT_SECONDS`, one more Ctrl-C ends the process of a command.
    """
    now = time.monotonic()
    if _state.exit_code is not None:
        if number == signal.SIGINT and now - _state.ended_at > IMPATIENT_SECONDS:
            os._exit(_state.exit_code)
    elif number == signal.SIGINT and _state.stopped_at and now - _state.stopped_at > IMPATIENT_SECONDS:
        if not _state.owned:  # a notebook would lose everything
            raise KeyboardInterrupt
        end_at_once(_state.error or error)
    elif _state.stopped_at is None or _is_lost():
        _state.stopped_at, _state.error = _state.stopped_at or now, _state.error or error
        if _state.shields:
            _state.waiting = True
        else:
            _stop(_state.error, frame)


class Stopping:
    """A context in which signals end the work as `Stopped`; `advice` is how to resume.

    In another thread than the main one it does nothing.
    """

    def __init__(self, advice: str, numbers: Sequence[int] = SIGNALS) -> None:
        self._advice, self._numbers = advice, numbers
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        begin()
        try:
            for number in self._numbers:
                self._before[number] = signal.signal(number, self._stop)
        except ValueError:  # another thread
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # Python prints an error of its own if a signal has just arrived whose handler is gone.
            if not _state.owned or handler is not signal.SIG_DFL:
                signal.signal(number, handler)
        if isinstance(error, SignalReceived):
            raise error.error from error

    def _stop(self, number: int, frame: FrameType | None) -> None:
        stop_once(Stopped(f"stopped by {signal.Signals(number).name}; {self._advice}"), number, frame)


def resumable(words: Sequence[str]) -> Stopping:
    """A context in which SIGTERM and SIGUSR1 stop the verb of a command line, if it can be resumed."""
    verb = next((word for word in words if not word.startswith("-")), "")
    numbers = [number for number in SIGNALS if number != signal.SIGINT]
    return Stopping(f"nothing was lost: {RESUMED_BY.get(verb)}", numbers if verb in RESUMED_BY else ())


class Shield:
    """A context that a signal does not interrupt: its exception is raised at the end of it."""

    def __enter__(self) -> Shield:
        _state.shields += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _state.shields -= 1
        if _state.waiting and not _state.shields:
            _state.waiting = False
            assert _state.error is not None
            _stop(_state.error, None)


def end(exit_code: int = 1) -> AlexNetError | None:
    """To be called at the end of a command, first when its outcome is known: from now on signals are ignored.

    Returns the error of a stop before. The process will end with the last `exit_code`, also if a signal
    arrives while Python shuts down.
    """
    if _state.owned:
        _state.exit_code, _state.ended_at = exit_code, time.monotonic()
    return _state.error


def accept() -> None:
    """To be called where work that only a signal can end has ended: that is no failure."""
    end()
    _state.error = _state.raised = None


def _interrupt(number: int, frame: FrameType | None) -> None:
    stop_once(Interrupted("interrupted"), number, frame)


def _stop(error: AlexNetError, frame: FrameType | None) -> None:
    if not _state.owned and isinstance(error, Interrupted):
        raise KeyboardInterrupt
    if _state.owned and _is_importing(frame):
        end_at_once(error)
    received = SignalReceived(error)
    _state.raised = weakref.ref(received)
    raise received


def _is_lost() -> bool:
    """Whether the exception was raised, and code that caught it has dropped it."""
    return _state.owned and _state.raised is not None and _state.raised() is None


def _is_importing(frame: FrameType | None) -> bool:
    """Whether an import is going on: libraries take an exception in it for a missing module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _unraisable(arguments: sys.UnraisableHookArgs) -> None:
    """Ends the process where the exception would be printed and dropped, as in a destructor."""
    if isinstance(arguments.exc_value, SignalReceived):
        end_at_once(arguments.exc_value.error)
    sys.__unraisablehook__(arguments)


def end_at_once(error: AlexNetError) -> NoReturn:
    """Ends the process with one line. Nothing is lost by it, as nothing is by a kill."""
    line = f"alexnet: {error}\n".encode(errors="backslashreplace")
    try:
        os.write(2, _SHOW_CURSOR + line if os.isatty(2) else line)
    finally:
        os._exit(error.exit_code)


def _leave() -> None:
    """The last function that Python calls at exit, before it gives the signals back to the system."""
    if _state.exit_code is None:  # an error of Python itself: it prints it
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(_state.exit_code)
