from __future__ import annotations

import re
import socket
from importlib.resources import files

import odd_uploads
import pytest
from http_client import ask

from alexnet.errors import CommandError
from alexnet.web.app import PAGE
from alexnet.web.server import ADDRESS, listening


@pytest.mark.parametrize("name", PAGE)
def test_the_page_is_served_from_memory_with_its_type(url, name) -> None:
    path = "" if name == "index.html" else name
    found = ask(f"{url}/{path}")
    assert found.body == (files("alexnet.web") / "page" / name).read_bytes()
    assert found.headers["content-type"].split(";")[0] == PAGE[name]


def test_every_file_of_the_page_is_served() -> None:
    assert {each.name for each in (files("alexnet.web") / "page").iterdir()} == set(PAGE)


@pytest.mark.parametrize("name", PAGE)
def test_the_page_needs_nothing_from_elsewhere(name) -> None:
    text = (files("alexnet.web") / "page" / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:https?:)?//\w[\w.]+", text)) <= {"http://www.w3.org"}
    assert "@import" not in text
    assert "style=" not in text  # forbidden by the page's own policy


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
def test_no_other_file_can_be_had(url, path) -> None:
    found = ask(url + path)
    assert found.status == 404
    assert set(found.json) == {"error"}


@pytest.mark.parametrize("path", ["/", "/health", "/api/models", "/nothing"])
def test_browsers_are_told_to_load_nothing_from_elsewhere(url, path) -> None:
    headers = ask(url + path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_answers_about_photos_are_kept_by_nobody(url) -> None:
    assert ask(f"{url}/api/classify", odd_uploads.plain()).headers["cache-control"] == "no-store"


def test_other_sites_may_not_ask_from_a_visitors_browser(url) -> None:
    photo = odd_uploads.plain()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        assert ask(f"{url}/api/classify", photo, origin=origin).status == 403
    assert ask(f"{url}/api/classify", photo, origin=url).status == 200


def test_a_name_that_was_made_to_point_here_is_not_ours(url) -> None:
    for path in ("/api/models", "/"):
        found = ask(url + path, host="evil.example")
        assert (found.status, set(found.json)) == (400, {"error"})
        assert "127.0.0.1 or localhost" in found.json["error"]
    for name in ("localhost:1234", "127.0.0.1"):  # as through a tunnel
        assert ask(f"{url}/api/models", host=name).status == 200


def test_a_wrong_method_is_said_to_be(url) -> None:
    assert ask(f"{url}/api/classify").status == 405
    assert ask(f"{url}/api/models", b"x").status == 405


def test_it_listens_on_this_computer_alone() -> None:
    with listening(0) as listener:
        assert ADDRESS == listener.getsockname()[0] == "127.0.0.1"
        assert listener.family == socket.AF_INET


def test_a_port_that_is_taken_is_a_wrong_command() -> None:
    with listening(0) as listener:
        port = listener.getsockname()[1]
        with (
            pytest.raises(CommandError, match=f"port {port} is taken: choose another with --port"),
            listening(port),
        ):
            pass
