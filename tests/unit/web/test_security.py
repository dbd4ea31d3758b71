from __future__ import annotations

import re
import socket
from importlib.resources import files

import odd_uploads
import pytest
from http_client import send

from alexnet.errors import CommandError
from alexnet.web.page_files import PAGE, page_file
from alexnet.web.server import ADDRESS, listening


@pytest.mark.parametrize("name", PAGE)
def test_the_page_is_served_from_memory_with_its_type(url, name) -> None:
    path = "" if name == "index.html" else name
    found = send(f"{url}/{path}")
    assert found.body == page_file(name)
    assert found.headers["content-type"].split(";")[0] == PAGE[name]


def test_every_file_of_the_page_is_served() -> None:
    assert {each.name for each in (files("alexnet.web") / "page").iterdir()} == {*PAGE, "browser_api.js"}


@pytest.mark.parametrize("name", PAGE)
def test_the_page_loads_nothing_from_other_sites(name) -> None:
    text = (files("alexnet.web") / "page" / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:https?:)?//\w[\w.]+", text)) <= {"http://www.w3.org"}
    assert "@import" not in text
    assert "style=" not in text  # forbidden by the content security policy


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/page/index.html",
        "//etc/passwd",
        "/index.html",
        "/%00",
    ],
)
def test_no_other_file_is_served(url, path) -> None:
    found = send(url + path)
    assert found.status == 404
    assert set(found.json) == {"error"}


@pytest.mark.parametrize("path", ["/", "/health", "/api/models", "/nothing"])
def test_the_security_headers_are_sent(url, path) -> None:
    headers = send(url + path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_predictions_are_not_cached(url) -> None:
    assert send(f"{url}/api/classify", odd_uploads.plain()).headers["cache-control"] == "no-store"


def test_cross_origin_requests_are_refused(url) -> None:
    photo = odd_uploads.plain()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert send(f"{url}/api/classify", photo, origin=origin).status == 403
    assert send(f"{url}/api/classify", photo, origin=url).status == 200


def test_other_host_names_are_refused(url) -> None:
    for path in ("/api/models", "/"):
        found = send(url + path, host="evil.example")
        assert (found.status, set(found.json)) == (400, {"error"})
        assert "127.0.0.1 or localhost" in found.json["error"]
    for name in ("localhost:1234", "127.0.0.1"):  # as through a tunnel
        assert send(f"{url}/api/models", host=name).status == 200


def test_a_wrong_method_is_405(url) -> None:
    assert send(f"{url}/api/classify").status == 405
    assert send(f"{url}/api/models", b"x").status == 405


def test_it_listens_on_the_loopback_address_only() -> None:
    with listening(0) as listener:
        assert ADDRESS == listener.getsockname()[0] == "127.0.0.1"
        assert listener.family == socket.AF_INET


def test_a_taken_port_is_a_command_error() -> None:
    with listening(0) as listener:
        port = listener.getsockname()[1]
        with (
            pytest.raises(CommandError, match=f"port {port} is taken: choose another with --port"),
            listening(port),
        ):
            pass


def test_small_responses_are_sent_without_delay() -> None:
    with listening(0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
