"""Requests that no browser sends: each gets a refusal with the security headers, and the server continues."""

from __future__ import annotations

import os
import random
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import odd_uploads
import pytest
from attack.request_attack import REQUESTS, exchange, random_request
from hostile_photos import EXTREME
from http_client import send

from alexnet.web import connections, security, upload

MUTATED = 200


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
    for seed in range(MUTATED):
        found = exchange(url, random_request(random.Random(seed)))
        assert found is None or found.status < 500
    assert capfd.readouterr().err == ""
    assert send(f"{url}/api/classify", odd_uploads.plain()).status == 200


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


UNREAD = b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n"
"""A request whose body nothing reads."""
SLOW = b"POST /api/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"
"""The beginning of an upload."""


def connected(url: str, timeout: float = 30) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=timeout)


@contextmanager
def all_connections(
    url: str, monkeypatch: pytest.MonkeyPatch, request_bytes: bytes
) -> Generator[list[socket.socket]]:
    """As many clients as the server admits, four here, each of which has sent these bytes."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 4)
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(url)) for _ in range(4)]
        for client in clients:
            client.sendall(request_bytes)
        yield clients


def test_clients_whose_bodies_are_not_read_shut_nobody_out(url: str, monkeypatch) -> None:
    with all_connections(url, monkeypatch, UNREAD) as clients:
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 404")
            client.sendall(b"x")  # uvicorn's own timer ends here
        assert send(f"{url}/health").status == 200


def test_clients_that_upload_slowly_shut_nobody_out(url: str, monkeypatch) -> None:
    """All connections have requests, so the oldest one is closed."""
    with all_connections(url, monkeypatch, SLOW):
        for _ in range(3):
            assert send(f"{url}/health").status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        UNREAD,
        UNREAD.replace(b"/nothing", b"/api/classify").replace(
            b"Content-L", b"Content-Type: multipart/\r\nContent-L"
        ),
    ],
    ids=["no such address", "multipart"],
)
def test_a_body_that_is_not_read_has_a_time_limit(url: str, monkeypatch, request_bytes: bytes) -> None:
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.05)
    with connected(url) as client:
        client.sendall(request_bytes)
        assert client.recv(65536).startswith(b"HTTP/1.1 4")
        with pytest.raises(ConnectionError):
            while True:
                client.sendall(b"x")
                if client.recv(65536) == b"":
                    raise ConnectionResetError


def test_responses_that_are_not_read_have_a_time_limit(url: str, monkeypatch) -> None:
    monkeypatch.setattr(connections, "SENDING_SECONDS", 0.05)
    with connected(url) as client, pytest.raises(ConnectionError):
        while True:  # until the buffers of both sides are full
            client.sendall(100 * b"GET /page.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def test_a_request_after_a_body_that_was_not_read_has_its_response(url: str) -> None:
    with connected(url) as client:
        client.sendall(UNREAD.replace(b"1000000000", b"3"))
        response = client.recv(65536)
        while not response.endswith(b"}"):  # the body may come after the headers
            part = client.recv(65536)
            assert part, response
            response += part
        assert response.startswith(b"HTTP/1.1 404")
        client.sendall(b"xyzGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


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
