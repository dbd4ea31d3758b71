"""Two tiny models behind a real server on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny

from alexnet.data.store import Store
from alexnet.evaluation.predictor import Predictor
from alexnet.web.app import make_app
from alexnet.web.photos import StorePhotos
from alexnet.web.served_model import ServedModel, open_models
from alexnet.web.server import serving


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def runs(store: Store, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two run directories with different weights."""
    folder = tmp_path_factory.mktemp("runs")
    return [tiny.run(folder / name, store, seed=seed).path for name, seed in (("one", 5), ("two", 6))]


@pytest.fixture(scope="session")
def models(runs: list[Path]) -> list[ServedModel]:
    return open_models(runs)


@pytest.fixture
def classifier(models: list[ServedModel]) -> Predictor:
    """Of the first model."""
    return models[0].classifier


@pytest.fixture
def url(models: list[ServedModel], store: Store) -> Iterator[str]:
    """The address at which both are served, with the store's photos."""
    with serving(make_app(models, StorePhotos(store))) as address:
        yield address


@pytest.fixture
def serve_model() -> Iterator[Callable[[ServedModel], str]]:
    """Serves one model until the test ends, and returns its address."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda model: stack.enter_context(serving(make_app([model])))
