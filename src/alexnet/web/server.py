"""Serving on the loopback address of this computer only."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.applications import Starlette

from alexnet import stopping
from alexnet.errors import CommandError
from alexnet.stopping import SignalReceived
from alexnet.web.connections import Connection, log_in_lines, most_connections

ADDRESS = "127.0.0.1"
_CLOSING_SECONDS = 5


def serve(app: Starlette, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """Serves until Ctrl-C or a termination signal; calls `ready` with the address at the start."""
    server = _Server(app, lambda: ready(url_of(listener)))
    with suppress(KeyboardInterrupt, SignalReceived):  # uvicorn sends the signal again after shutting down
        server.run([listener])
    stopping.accept()


@contextmanager
def serving(app: Starlette, port: int = 0) -> Generator[str]:
    """Serves in a background thread for as long as the context lasts; yields the address.

    Port 0 is any free one.
    """
    started = threading.Event()
    with listening(port) as listener:
        server = _Server(app, started.set)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not started.wait(0.1):
            if not thread.is_alive():
                raise RuntimeError("the server did not start; see the error above")
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def listening(port: int) -> Generator[socket.socket]:
    """A socket that accepts connections from this computer only; CommandError if the port is taken."""
    try:
        listener = socket.create_server((ADDRESS, port), backlog=256)
    except OSError as error:
        taken = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise CommandError(f"port {port} {taken}: choose another with --port") from None
    with listener:
        # Connections inherit it; asyncio sets it only for sockets with an explicit protocol. Without it a
        # response, which is sent in two parts, waits 40 ms for the client's delayed acknowledgment.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def url_of(listener: socket.socket) -> str:
    """The address to type into a browser."""
    return f"http://{ADDRESS}:{listener.getsockname()[1]}"


class _Server(uvicorn.Server):
    """uvicorn's server with a callback once it accepts requests."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="error",
            log_config=None,
            lifespan="on",
            http=Connection,
            # As many are accepted at once, before any of them is closed.
            backlog=max(2, most_connections() // 2),
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_CLOSING_SECONDS,
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        log_in_lines(asyncio.get_running_loop())
        await super().startup(sockets)
        if self.started:
            self._ready()
