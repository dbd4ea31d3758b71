"""Recorded runs: each is a recipe with settings that fit; its README shows the commands that run."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from alexnet import recipes
from alexnet.config import override
from alexnet.errors import CommandError, WorkError
from alexnet.recorded import record, runs


@pytest.mark.parametrize("run", runs.RUNS, ids=runs.names())
def test_every_recorded_run_fits_its_recipe(run: runs.RecordedRun) -> None:
    config = override(recipes.get(run.recipe), run.settings)
    assert config.data.side == run.side
    assert config.schedule.epochs >= 20


def test_runs_of_one_data_set_are_trained_equally_long_from_the_same_seed() -> None:
    configs = [override(recipes.get(run.recipe), run.settings) for run in runs.RUNS]
    assert len({(config.schedule.epochs, config.training.seed, config.data.crop) for config in configs}) == 1


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(CommandError, match="imagenette-alexnet-modern"):
        runs.find("alexnet-modern")


def test_a_failing_step_stops_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed: list[list[str]] = []

    def fail(words: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        typed.append(words)
        return subprocess.CompletedProcess(words, 3)

    monkeypatch.setattr(record.subprocess, "run", fail)
    with pytest.raises(WorkError, match="exit code 3"):
        record.record(runs.RUNS[0], tmp_path / "data", tmp_path, tmp_path / "results")
    assert len(typed) == 1
    assert not (tmp_path / "results").exists()


def test_the_readme_holds_the_commands_and_no_path_of_a_machine(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text(json.dumps({"commit": "abc"}))
    text = record.readme(runs.RUNS[0], tmp_path)
    for words in record.commands(runs.RUNS[0], Path("DATA"), Path()):
        assert shlex.join(words) in text
    assert str(tmp_path) not in text
