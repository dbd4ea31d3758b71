"""A tiny store for all tests of this folder, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import browser
import pytest
import tiny
from playwright.sync_api import Browser

from alexnet.data.store import Store


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Per module: while it runs, asyncio.run fails in other tests of the process."""
    with browser.browser() as started:
        yield started
