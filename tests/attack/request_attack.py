"""Requests that no browser sends, and what a server must do with each."""

from __future__ import annotations

import contextlib
import io
import random
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock
from urllib.parse import urlsplit

import odd_uploads
from attack.outcomes import Outcome, Trial
from attack.subject import RUN, STORE, Subject
from changed_contents import changed_bytes
from hostile_photos import EXTREME
from http_client import Response, send

from alexnet.data.store import Store
from alexnet.web import connections, upload
from alexnet.web.app import make_app
from alexnet.web.photos import StorePhotos
from alexnet.web.served_model import open_models
from alexnet.web.server import serving

HOST = b"Host: 127.0.0.1\r\n"
DIGITS = b"9" * 5000
REQUESTS = {
    "length without digits": b"POST /api/classify HTTP/1.1\r\n" + HOST + b"Content-Length: abc\r\n\r\n",
    "negative length": b"POST /api/classify HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length of many digits": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + DIGITS + b"\r\n\r\n",
    "broken chunks": b"POST /api/classify HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "index of many digits": b"GET /api/photos/train/" + DIGITS + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "negative index": b"GET /api/photos/train/-1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "index above 64 bits": b"GET /api/photos/train/99999999999999999999 HTTP/1.1\r\n" + HOST + b"\r\n",
    "index without digits": b"GET /api/photos/train/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "split of another encoding": b"GET /api/photos/%ff%fe/0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "top of many digits": b"POST /api/classify?top=" + DIGITS + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "open bracket as origin": b"POST /api/classify HTTP/1.1\r\n" + HOST + b"Origin: http://[\r\n\r\n",
    "open bracket as port": b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1:[\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an endless line": b"GET /" + b"a" * 100_000,
    "an endless header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100_000,
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "line break in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nb\r\n\r\n",
    "other method": b"BREW /api/classify HTTP/1.1\r\n" + HOST + b"\r\n",
    "no such model": b"POST /api/classify?model=%1b[31m%0a HTTP/1.1\r\n" + HOST + b"\r\n",
}


def exchange(url: str, request: bytes) -> Response | None:
    """The response to these bytes, after which the client sends nothing more; None if there is none."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30) as client:
        client.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            part = client.recv(65536)
            if not part:
                return None
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        while len(body) < int(headers["content-length"]):
            body += client.recv(65536)
    return Response(int(lines[0].split()[1]), headers, body)


PATHS = (
    *(b"/", b"/page.js", b"/health", b"/api/openapi.json", b"/api/models", b"/api/samples"),
    *(b"/api/photos/train/0", b"/api/classify", b"/api/similar", b"/api/saliency", b"/api/localize"),
    *(b"/../etc/passwd", b"/%2e%2e/%2e%2e"),
)
QUERIES = (
    b"",
    b"?top=3",
    b"?top=0",
    b"?top=-1",
    b"?views=ten",
    b"?views=%00",
    b"?model=x",
    b"?class=99",
    b"?" + b"a=b&" * 500,
)
PHOTOS = (*odd_uploads.ODD, *odd_uploads.REFUSED, *EXTREME)


def random_request(chance: random.Random) -> bytes:
    """A valid request with up to four places changed, mostly in its headers; its photo may be damaged."""
    photo = chance.choice(PHOTOS)() if chance.random() < 0.3 else odd_uploads.plain()
    if chance.random() < 0.2:
        photo = next(changed_bytes(photo, 1, chance.randrange(2**32)))
    path = chance.choice(PATHS) if chance.random() < 0.5 else b"/api/classify"
    whole = (
        (b"GET " if chance.random() < 0.2 else b"POST ")
        + path
        + chance.choice(QUERIES)
        + b" HTTP/1.1\r\n"
        + HOST
        + b"Origin: http://127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(photo)
    )
    end_of_headers = len(whole)
    request = bytearray(whole + photo)
    for _ in range(chance.randint(0, 4)):
        place = chance.randrange(min(end_of_headers, len(request)) if chance.random() < 0.8 else len(request))
        kind = chance.randrange(3)
        if kind == 0:
            request[place] = chance.randrange(256)
        elif kind == 1:
            del request[place : place + chance.randint(1, 20)]
        else:
            request[place:place] = bytes(chance.choices(range(256), k=chance.randint(1, 5)))
    return bytes(request)


@dataclass(frozen=True)
class RequestAttack:
    """A server in a thread of this process, with short limits of time."""

    url: str
    errors: io.StringIO
    """What is written to standard error."""

    @classmethod
    @contextmanager
    def on(cls, subject: Subject) -> Generator[RequestAttack]:
        """Serves the subject's run and store."""
        models, photos = open_models([subject.folder / RUN]), StorePhotos(Store.open(subject.folder / STORE))
        errors = io.StringIO()
        with (
            mock.patch.object(connections, "HEADERS_SECONDS", 0.02),
            mock.patch.object(upload, "GRACE_SECONDS", 0.02),
            contextlib.redirect_stderr(errors),
            serving(make_app(models, photos)) as url,
        ):
            yield cls(url, errors)

    def trials(self, seed: int, count: int) -> list[Trial]:
        """Random requests, and then a request that must have its response."""
        wanted = send(f"{self.url}/api/classify", odd_uploads.plain()).body
        found = [self._trial(random.Random(f"request {seed} {number}"), seed) for number in range(count)]
        if send(f"{self.url}/api/classify", odd_uploads.plain()).body != wanted:
            found[-1] = Trial("request to serve", "a photo after them", seed, "silent wrong")
        return found

    def _trial(self, chance: random.Random, seed: int) -> Trial:
        request = random_request(chance) if chance.random() < 0.9 else chance.choice([*REQUESTS.values()])
        before = len(self.errors.getvalue())
        outcome: Outcome = "harmless"
        try:
            response = exchange(self.url, request)
        except ConnectionResetError:
            response = None
        if response is not None and response.status >= 400:
            outcome = "noticed" if response.status < 500 else "unexpected"
        if response is not None and response.headers.get("x-content-type-options") != "nosniff":
            outcome = "unexpected"
        shown = self.errors.getvalue()[before:]
        return Trial("request to serve", repr(request[:200]), seed, "traceback" if shown else outcome, shown)
