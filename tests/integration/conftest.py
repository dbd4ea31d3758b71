"""One tiny store for all tests of this folder."""

from __future__ import annotations

import pytest
import tiny

from alexnet.data.store import Store


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))
