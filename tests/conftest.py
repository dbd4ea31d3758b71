"""Shared fixtures: the path of the reference implementations, and real images if they are present."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from local_server import Server

# How long an example takes depends on the machine.
settings.register_profile("alexnet", deadline=None)
settings.load_profile("alexnet")

_REAL_IMAGES = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; the test is skipped if it is absent."""
    if not _REAL_IMAGES.is_dir():
        pytest.skip("the real images (../shared/data) are not here")
    return _REAL_IMAGES


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server on this machine; failed downloads are retried without delay."""
    from local_server import Server

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("alexnet.data.download._WAITS_SECONDS", (0, 0, 0))
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()
