"""A tiny model behind a real server, shared by the attacks on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny

from alexnet.data.store import Store
from alexnet.web.app import make_app
from alexnet.web.photos import StorePhotos
from alexnet.web.served_model import open_models
from alexnet.web.server import serving


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with random weights."""
    return tiny.run(tmp_path_factory.mktemp("runs") / "net", store).path


@pytest.fixture(scope="session")
def url(run: Path, store: Store) -> Iterator[str]:
    with serving(make_app(open_models([run]), StorePhotos(store))) as address:
        yield address
