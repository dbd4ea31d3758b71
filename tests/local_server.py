"""A web server on this machine that can send parts, lose connections, send wrong bytes, and lack files."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `files` by path; each number in `dies_after` cuts one response off after that many bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.dies_after: list[int] = []
        self.errors: list[int] = []
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, self.headers["Range"]))
                server.respond(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        if self.errors or handler.path not in self.files:
            handler.send_error(self.errors.pop(0) if self.errors else 404)
            return
        data = self.files[handler.path]
        start = int(re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "bytes=0-")[1])
        start = start if self.ranges else 0
        if start >= len(data):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        end = start + self.dies_after.pop(0) if self.dies_after else len(data)
        handler.wfile.write(data[start:end])
