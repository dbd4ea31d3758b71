"""The task of a configuration; a task that is added in one file works everywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tiny
from reports import Seen
from unit.tasks.extra_task import Brightness

import alexnet
from alexnet import recipes
from alexnet.cli.main import main
from alexnet.cli.report import PAGE
from alexnet.config import ConfigError
from alexnet.data.store import Store
from alexnet.runs.results import EvalResult, read_results
from alexnet.tasks import config as task_config
from alexnet.tasks.base import task_of
from alexnet.tasks.classification import Classification
from alexnet.tasks.config import TASKS, LoggedErrors, TaskInfo, task_info
from alexnet.tasks.detection import Detection
from alexnet.tasks.localization import Localization

EXTRA = TaskInfo(
    implementation="unit.tasks.extra_task:Brightness",
    losses=("extra-task-brightness",),
    logged=LoggedErrors("mean error of brightness", "one view", "wrong by a tenth"),
    classifies=False,
)


class Evaluated(NamedTuple):
    """A run of the extra task, its store, and the error that `evaluate` measured."""

    run: Path
    store: Store
    error: float


@pytest.mark.parametrize(
    ("recipe", "task", "boxes", "views"),
    [
        ("alexnet-2012", Classification, False, "ten"),
        ("lenet-5", Classification, False, "center"),
        ("overfeat-fast-localization", Localization, True, "dense"),
        ("overfeat-fast-detection", Detection, True, "dense"),
    ],
)
def test_the_loss_chooses_the_task(recipe: str, task: type, boxes: bool, views: str) -> None:
    config = recipes.get(recipe)
    made = task_of(config, 10)
    assert type(made) is task
    assert made.reads_boxes is made.info.predicts_boxes is boxes
    assert made.default_views(config.data.mirror) == views
    # Class probabilities of a model of boxes are tested like those of any other.
    assert Classification(config, 10).default_views(mirror=True) == "ten"


def test_every_recipe_has_a_task_and_no_loss_has_two() -> None:
    losses = [loss for task in TASKS for loss in task.losses]
    assert len(losses) == len(set(losses))
    assert {recipes.get(name).training.loss for name in recipes.names()} <= set(losses)


def test_a_loss_that_does_not_exist_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"training\.loss='no-such-loss' must be one of cross-entropy, squared-error"
    ):
        tiny.config("training.loss=no-such-loss")


def test_a_task_in_one_file_is_trained_evaluated_and_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of a classifier with a target of its own."""
    monkeypatch.setattr(task_config, "TASKS", (*TASKS, EXTRA))
    store = tiny.store(tmp_path)
    lines: list[str] = []
    settings = ["training.loss=extra-task-brightness", "data.pca_lighting=none", "optimizer.lr=0.001"]
    run = tmp_path / "run"
    result = alexnet.train(
        tiny.config(*settings), store, run, "schedule.epochs=2", device="cpu", log=lines.append
    )
    assert lines[-1].startswith("done after 12 updates: mean error of brightness ")
    (found,) = alexnet.evaluate(run, store, views="ten", device="cpu")
    assert found.measures == {"mean_brightness_error": pytest.approx(result.errors["top1_error"])}
    assert read_results(run) == [found]
    assert (run / "predictions" / "val-center-brightness.npz").is_file()
    photo = np.full((72, 72, 3), 128, np.uint8)
    ((predicted,),) = alexnet.load(run, "cpu").predict(photo, views="center")
    assert predicted.name == "brightness"
    assert task_info("extra-task-brightness").predicts_boxes is False


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """A run of the extra task, which is evaluated."""
    folder = tmp_path_factory.mktemp("extra")
    store, run = tiny.store(folder), folder / "run"
    settings = ["training.loss=extra-task-brightness", "data.pca_lighting=none", "optimizer.lr=0.001"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_config, "TASKS", (*TASKS, EXTRA))
        alexnet.train(tiny.config(*settings), store, run, "schedule.epochs=2", device="cpu")
        (result,) = alexnet.evaluate(run, store, views="center", device="cpu")
    return Evaluated(run, store, result.measures["mean_brightness_error"])


@pytest.mark.parametrize("command", ["evaluate", "compare", "report"])
def test_a_task_without_classes_shows_its_own_numbers_only(
    command: str,
    evaluated: Evaluated,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(task_config, "TASKS", (*TASKS, EXTRA))
    data = ["--store", str(evaluated.store.path), "--device", "cpu"]
    words = {
        "evaluate": [*data, "--views", "center"],
        "compare": [],
        "report": [*data, "--out", str(tmp_path / "page"), "--figures"],
    }
    assert main([command, str(evaluated.run), *words[command]]) == 0
    shown = capsys.readouterr().out
    if command == "report":
        shown = Seen((tmp_path / "page" / PAGE).read_text(encoding="utf-8")).text
        assert "run was not trained to predict classes" in shown
        figures = {file.stem for file in (tmp_path / "page").rglob("*.png")}
        assert figures == {"curves", "run-filters"}
    assert "mean_brightness_error" in shown
    assert f"{evaluated.error:.6g}" in shown
    top1 = read_results(evaluated.run)[0].top1.error
    assert f"{top1:.1%}".rstrip("%") not in shown
    assert not re.search("(?i)confus|each class|worst of", shown)


def test_a_task_without_classes_is_not_served(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(task_config, "TASKS", (*TASKS, EXTRA))
    assert main(["serve", str(evaluated.run), "--device", "cpu", "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "was not trained to predict classes" in line and "alexnet predict" in line


def test_models_of_a_task_without_classes_are_not_averaged(
    evaluated: Evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(task_config, "TASKS", (*TASKS, EXTRA))
    words = ["ensemble", "alexnet-small", "training.loss=extra-task-brightness", "--device", "cpu"]
    assert main([*words, "--store", str(evaluated.store.path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "is not trained to predict classes" in line and "use alexnet train" in line
    assert not (tmp_path / "out").exists()


def test_a_classifier_is_recorded_as_before(tmp_path: Path) -> None:
    """Only results of other models have the field."""
    store, run = tiny.store(tmp_path), tmp_path / "run"
    alexnet.train(tiny.config(), store, run, "schedule.epochs=1", device="cpu")
    (result,) = alexnet.evaluate(run, store, views="center", device="cpu")
    assert result.classifies and "classifies" not in result.to_dict()
    other = replace(result, classifies=False)
    assert not EvalResult.from_dict(other.to_dict()).classifies


def test_own_rows_without_a_suffix_are_refused() -> None:
    with pytest.raises(TypeError, match="NoSuffix has views of its own, so it needs a suffix"):
        type("NoSuffix", (Brightness,), {"suffix": ""})
