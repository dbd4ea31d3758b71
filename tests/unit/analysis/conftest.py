"""A tiny store of noise with three brightness levels, and runs with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from alexnet.data.store import Store
from alexnet.runs.run_dir import RunDir


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def make_run(store: Store, tmp_path: Path) -> Callable[..., RunDir]:
    """Makes run directories of a tiny AlexNet."""
    return lambda name="run", *settings, seed=5: tiny.run(tmp_path / name, store, *settings, seed=seed)
