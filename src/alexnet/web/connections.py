"""Connections of the web server: how many there are, how long they may take, and one line for each error.

A client may open many connections and send nothing, send a request byte by byte, or not read its responses.
Such connections are closed, the oldest first, before they shut out others.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from alexnet.text import printable
from alexnet.web.security import HEADERS

try:
    import resource as _resource
except ImportError:  # Windows limits no process's files
    _resource = None

MAX_CONNECTIONS = 256
"""Connections at the same time, or fewer if the limit of open files is too low for them."""
HEADERS_SECONDS = 10
"""How long a client may take to send the headers of a request, and the rest of a body after the response."""
SENDING_SECONDS = 60
"""How long a client may take to read a response."""
_OTHER_FILES = 32
"""Open files of the process besides connections."""
_REPEAT_SECONDS = 60
"""An error of the same kind is logged again after this time."""


class Connection(H11Protocol):
    """One connection. It is closed if its client takes too long, or if there are too many.

    Photos that are being received have limits of their own, in `Uploads`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
        """Closes another connection if there are too many: the oldest without a request, else the oldest."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._expected: object = None
        self._receiving_timer: asyncio.TimerHandle | None = None
        self._sending_timer: asyncio.TimerHandle | None = None
        transport.set_write_buffer_limits(0)  # `pause_writing` is called as soon as a client must read
        self._limit_receiving()
        every = [each for each in cast(set[Connection], self.connections) if each.is_open]
        if len(every) > most_connections():
            others = [each for each in every if each is not self]
            idle = [each for each in others if each.is_idle]
            min(idle or others, key=lambda each: each.since).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the timers."""
        for timer in (self._receiving_timer, self._sending_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    @property
    def is_open(self) -> bool:
        """Whether it is used, or has bytes that its client has not read."""
        return not self.transport.is_closing() or self.transport.get_write_buffer_size() > 0

    @property
    def is_idle(self) -> bool:
        """Whether no response is being made for it."""
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        return cycle is None or cycle.response_complete

    def handle_events(self) -> None:
        """Limits the time of what the client must send next."""
        super().handle_events()
        self._limit_receiving()

    def on_response_complete(self) -> None:
        """Limits the time of what the client must send next."""
        super().on_response_complete()
        self._limit_receiving()

    def pause_writing(self) -> None:
        """Limits the time in which the client must read what it was sent."""
        super().pause_writing()
        self._sending_timer = self.loop.call_later(SENDING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Ends this time."""
        super().resume_writing()
        if self._sending_timer is not None:
            self._sending_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuses a request that is not HTTP, with the headers of every response."""
        if self.conn.our_state is not h11.IDLE and self.conn.our_state is not h11.SEND_RESPONSE:
            self.transport.close()
            return
        body = json.dumps({"error": "this is not a valid HTTP request"}).encode()
        fields = {
            **HEADERS,
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _limit_receiving(self) -> None:
        """Starts a timer for headers, and for the rest of a body whose response is complete."""
        has_answered = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        expected = self.conn.their_state if self.conn.their_state is h11.IDLE or has_answered else None
        if expected is self._expected:
            return
        self._expected = expected
        if self._receiving_timer is not None:
            self._receiving_timer.cancel()
        if expected is not None:
            self.since = self.loop.time()
            self._receiving_timer = self.loop.call_later(HEADERS_SECONDS, self.transport.abort)


def most_connections() -> int:
    """The largest number of connections at the same time."""
    if _resource is None:
        return MAX_CONNECTIONS
    files, _ = _resource.getrlimit(_resource.RLIMIT_NOFILE)
    if files == _resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(4, min(MAX_CONNECTIONS, (files - _OTHER_FILES) // 2))


class OneLineLog(logging.Handler):
    """Writes one line for an error to standard error, without a traceback, and repeats it at most once a
    minute.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._written: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line."""
        error = record.exc_info[1] if record.exc_info else None
        reason = f" ({type(error).__name__}: {error})" if error else ""
        line = printable(f"{record.getMessage().strip().partition(chr(10))[0]}{reason}")
        if record.created - self._written.get(line, -_REPEAT_SECONDS) < _REPEAT_SECONDS:
            return
        if len(self._written) > 1000:
            self._written.clear()
        self._written[line] = record.created
        sys.stderr.write(f"alexnet serve: {line}\n")


def log_in_lines(loop: asyncio.AbstractEventLoop) -> None:
    """Makes each error of the server and of the loop one line."""
    handler = OneLineLog()
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False

    def report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        info = (type(error), error, None) if isinstance(error, Exception) else None
        logging.getLogger("asyncio").error(context["message"], exc_info=info)

    loop.set_exception_handler(report)
