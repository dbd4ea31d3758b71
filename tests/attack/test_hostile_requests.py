"""Requests that no browser sends: each gets a refusal with the security headers, and the server continues."""

from __future__ import annotations

import os
import random
import re
import resource
import socket
import subprocess
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import odd_uploads
import pytest
from hostile_photos import EXTREME
from http_client import Response, send

from alexnet.web import connections, security, upload

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
MUTATED = 200


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


@pytest.mark.parametrize("name", REQUESTS)
def test_a_broken_request_is_refused_with_the_security_headers(url: str, name: str, capfd) -> None:
    found = exchange(url, REQUESTS[name])
    assert 400 <= found.status < 500
    assert found.headers["content-security-policy"] == security.HEADERS["Content-Security-Policy"].lower()
    assert found.headers["x-content-type-options"] == "nosniff"
    assert set(found.json) == {"error"}
    assert capfd.readouterr().err == ""
    assert send(f"{url}/health").status == 200


def test_no_mutation_of_a_request_makes_the_server_fail(url: str, capfd, monkeypatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.05)
    monkeypatch.setattr(upload, "GRACE_SECONDS", 0.05)
    generator = random.Random(0)
    photo = odd_uploads.plain()
    whole = (
        b"POST /api/classify?top=2&views=center HTTP/1.1\r\n"
        + HOST
        + b"Origin: http://127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(photo)
        + photo
    )
    end_of_headers = whole.index(b"\r\n\r\n") + 4
    for _ in range(MUTATED):
        request = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(end_of_headers if generator.random() < 0.8 else len(request))
            kind = generator.randrange(3)
            if kind == 0:
                request[place] = generator.randrange(256)
            elif kind == 1:
                del request[place : place + generator.randint(1, 20)]
            else:
                request[place:place] = bytes(generator.choices(range(256), k=generator.randint(1, 5)))
        found = exchange(url, bytes(request))
        assert found is None or found.status < 500
    assert capfd.readouterr().err == ""
    assert send(f"{url}/api/classify", photo).status == 200


@pytest.mark.parametrize("make", EXTREME, ids=lambda make: make.__name__)
def test_photos_of_extreme_size_are_refused(url: str, make) -> None:
    found = send(f"{url}/api/classify", make())
    assert found.status in (413, 422)
    assert "pixels" in found.json["error"]


def test_clients_that_send_no_headers_are_closed_for_others(url: str, monkeypatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 4)
    address = ("127.0.0.1", urlsplit(url).port)
    silent = [socket.create_connection(address, timeout=30) for _ in range(12)]
    for client in silent:
        client.sendall(b"GET / HTTP/1.1\r\n")
    assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200
    for client in silent[:8]:  # the first ones were closed to make room
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    for client in silent:
        client.close()


def test_headers_have_a_time_limit(url: str, monkeypatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.05)
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with pytest.raises(ConnectionResetError):
            assert client.recv(1) == b""
            raise ConnectionResetError
    assert send(f"{url}/health").status == 200


@pytest.mark.slow
def test_few_file_handles_shut_nobody_out(run) -> None:
    """With a limit of 64 open files, 120 silent clients cost no other client its response, and no log."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    command = [sys.executable, "-m", "alexnet", "serve", run, "--port", "0", "--device", "cpu"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, preexec_fn=limit, env={**os.environ}, **pipes) as process:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
            address = ("127.0.0.1", urlsplit(url).port)
            silent = [socket.create_connection(address, timeout=30) for _ in range(120)]
            for _ in range(3):
                assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200
            for client in silent:
                client.close()
        finally:
            process.terminate()
            errors = process.stderr.read()
    assert errors.count("\n") <= 2
    assert "Traceback" not in errors
