"""A trained and tested run, and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from reports import Seen, typed

from alexnet.cli.main import main
from alexnet.data.store import Store


@pytest.fixture(scope="session")
def run(tiny_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and tested run."""
    folder = tmp_path_factory.mktemp("reported") / "first"
    settings = [*tiny.SETTINGS, *tiny.TOWERS, "schedule.epochs=1"]
    typed(["train", tiny.RECIPE, "--store", str(tiny_store.path), "--run", str(folder), *settings])
    assert main(["evaluate", str(folder), "--store", str(tiny_store.path), "--views", "ten"]) == 0
    return folder


@pytest.fixture(scope="session")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report, with figures; the store is found at the path that the run recorded."""
    folder = tmp_path_factory.mktemp("page")
    assert main(["report", str(run), "--out", str(folder), "--figures"]) == 0
    return folder / "report.html"


@pytest.fixture(scope="session")
def seen(page: Path) -> Seen:
    return Seen(page.read_text(encoding="utf-8"))


@pytest.fixture
def report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Seen]:
    """Writes a report, without the slowest figures, and reads it."""

    def written(*words: object) -> Seen:
        assert main(["report", "--detailed", "0", *map(str, words), "--out", str(tmp_path / "page")]) == 0, (
            capsys.readouterr().err
        )
        return Seen((tmp_path / "page" / "report.html").read_text(encoding="utf-8"))

    return written
