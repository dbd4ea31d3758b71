from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from alexnet.errors import CommandError
from alexnet.runs.run_dir import RunDir
from alexnet.training.run import resumed_config


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", tiny.config())


def test_without_settings_the_run_keeps_its_own(run: RunDir) -> None:
    assert resumed_config(run, tiny.RECIPE, []) == (tiny.config(), [])


def test_the_same_settings_again_change_nothing(run: RunDir) -> None:
    assert resumed_config(run, tiny.RECIPE, tiny.SETTINGS) == (tiny.config(), [])


def test_changes_are_listed(run: RunDir) -> None:
    config, changes = resumed_config(run, tiny.RECIPE, ["schedule.epochs=9", "optimizer.lr=0.1"])
    assert config == tiny.config("schedule.epochs=9", "optimizer.lr=0.1")
    assert sorted(changes) == ["optimizer.lr: 0.01 -> 0.1", "schedule.epochs: 3 -> 9"]


@pytest.mark.parametrize(
    "setting",
    [
        *("model.dropout=0.1", "data.input_size=72", "training.batch_size=4", "training.seed=3"),
        *("training.precision=float16", "optimizer.name=adamw", "schedule.name=cosine"),
    ],
)
def test_what_would_make_it_another_run_is_refused(run: RunDir, setting: str) -> None:
    with pytest.raises(CommandError, match=f"cannot change {setting.split('=')[0]}: .* -> "):
        resumed_config(run, tiny.RECIPE, [setting])


def test_a_key_that_starts_like_a_fixed_one_is_not_fixed(run: RunDir) -> None:
    config, _ = resumed_config(run, tiny.RECIPE, ["data.cropping=center"])
    assert config.data.cropping == "center"


def test_averaging_is_not_switched(run: RunDir) -> None:
    with pytest.raises(CommandError, match="ema_decay"):
        resumed_config(run, tiny.RECIPE, ["training.ema_decay=0.9"])


def test_another_recipe(run: RunDir) -> None:
    with pytest.raises(CommandError, match="is a run of alexnet-one-weird-trick"):
        resumed_config(run, "alexnet-2012", [])
