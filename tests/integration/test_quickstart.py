"""`alexnet quickstart` with one epoch: every promised file exists afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from alexnet.cli import quickstart
from alexnet.cli.main import main


def quicker(steps: Callable[[Path], list[tuple[str, list[str]]]], out: Path) -> list[tuple[str, list[str]]]:
    """With fewer photos, and a report without details of the models."""
    more = {"synthesize": ["--train-per-class", "40", "--val-per-class", "10"], "report": ["--detailed", "0"]}
    return [(title, words + more.get(words[0], [])) for title, words in steps(out)]


@pytest.mark.slow
def test_the_whole_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quickstart, "EPOCHS", 1)
    monkeypatch.setattr(quickstart, "steps", partial(quicker, quickstart.steps))
    out = tmp_path / "quick start"  # a path with a space
    assert main(["quickstart", "--out", str(out)]) == 0
    output = capsys.readouterr().out
    (ensemble,) = json.loads((out / "models" / "evaluation.json").read_text())
    assert ensemble["images"] == 100
    assert [run["seed"] for run in ensemble["runs"]] == [0, 1]
    assert ensemble["views"] == "ten"
    for name in (
        "report.html",
        "curves.png",
        "predictions.png",
        "store/header.json",
        "models/seed-1/evaluation.json",
    ):
        assert (out / name).is_file(), name
    assert "paper, table 2" not in output  # its errors are of other classes
    assert "What you can type next" in output
    (out / "models" / "evaluation.json").unlink()
    assert main(["quickstart", "--out", str(out)]) == 0  # finished steps are skipped
    assert capsys.readouterr().out.count("already trained") == 2
    assert json.loads((out / "models" / "evaluation.json").read_text()) == [ensemble]


def test_a_folder_with_other_files_is_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").touch()
    assert main(["quickstart", "--out", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
