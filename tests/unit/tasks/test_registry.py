"""The task of a configuration; a task that is added in one file works everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

import alexnet
from alexnet import recipes
from alexnet.config import ConfigError
from alexnet.runs.results import read_results
from alexnet.tasks import config as task_config
from alexnet.tasks.base import task_of
from alexnet.tasks.classification import Classification
from alexnet.tasks.config import TASKS, LoggedErrors, TaskInfo, task_info
from alexnet.tasks.detection import Detection
from alexnet.tasks.localization import Localization


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
        ConfigError, match=r"training\.loss='hinge' must be one of cross-entropy, squared-error"
    ):
        tiny.config("training.loss=hinge")


def test_a_task_in_one_file_is_trained_evaluated_and_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of a classifier with a target of its own."""
    entry = TaskInfo(
        implementation="unit.tasks.extra_task:Brightness",
        losses=("brightness",),
        logged=LoggedErrors("mean error of brightness", "one view", "wrong by a tenth"),
    )
    monkeypatch.setattr(task_config, "TASKS", (*TASKS, entry))
    store = tiny.store(tmp_path)
    lines: list[str] = []
    settings = ["training.loss=brightness", "data.pca_lighting=none", "optimizer.lr=0.001"]
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
    assert task_info("brightness").predicts_boxes is False
