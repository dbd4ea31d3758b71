"""Connections of the web server: how many there are, how long they may take, and one line for each error.

A client may open many connections and send nothing, or send its headers byte by byte. Such connections are
closed, the oldest first, before they shut out others.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from alexnet.text import printable
from alexnet.web.security import HEADERS

try:
    import resource as _resource
except ImportError:  # Windows limits no process's files
    _resource = None

MAX_CONNECTIONS = 256
"""Connections at the same time, if the limit of open files permits so many."""
HEADERS_SECONDS = 10
"""How long a client may take to send the headers of a request."""
_OTHER_FILES = 32
"""Open files of the process besides connections."""
_REPEAT_SECONDS = 60
"""An error of the same kind is logged again after this time."""


class Connection(H11Protocol):
    """One connection. It is closed if the headers of a request take too long, or if there are too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
        """Closes the connection that has waited longest for a request if there are too many."""
        super().connection_made(transport)
        self._headers_timer: asyncio.TimerHandle | None = None
        self._expect_headers()
        every = [each for each in cast(set[Connection], self.connections) if not each.transport.is_closing()]
        if len(every) > most_connections():
            waiting = [each for each in every if each.is_waiting and each is not self]
            min(waiting, key=lambda each: each.since, default=self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the timer."""
        self._headers_arrived()
        super().connection_lost(exc)

    @property
    def is_waiting(self) -> bool:
        """Whether it has no request at the moment."""
        return self._headers_timer is not None

    def handle_events(self) -> None:
        """Restarts the timer after each request."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._headers_arrived()
        elif not self.is_waiting:
            self._expect_headers()

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

    def _expect_headers(self) -> None:
        self.since = self.loop.time()
        self._headers_timer = self.loop.call_later(HEADERS_SECONDS, self.transport.abort)

    def _headers_arrived(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None


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
