"""The list of tasks, and what a configuration decides about them. It does not load torch.

`training.loss` names the loss and thereby the task. This table is the only place that maps one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

DEFAULT_MIN_SCORE = 0.5
"""Minimum probability of an object at a window whose box `predict` uses."""


class LoggedErrors(NamedTuple):
    """Descriptions of the errors in a run's log."""

    validation: str
    """`top1_error` of `validation` lines, the watched metric: lower is better."""
    views: str
    """The views of each validation image that are tested."""
    training: str
    """`error` of `train` lines, over the augmented training images."""


@dataclass(frozen=True)
class TaskInfo:
    """The properties of a task on which a configuration depends."""

    implementation: str
    """Module and class of the `alexnet.tasks.base.Task`, as `module:Class`."""
    losses: tuple[str, ...]
    """Values of `training.loss` that choose it."""
    logged: LoggedErrors
    title: str = ""
    """Of a report's section on predicted boxes."""
    model: str = ""
    """The only `model.name` that it trains; empty for all models that no other task has."""
    default_views: str = ""
    """Empty: ten crops, or the central one for a model trained without mirroring."""
    classifies: bool = True
    """Whether the model's outputs are also evaluated and shown as class probabilities. If not, `evaluate` and
    the report show the task's own numbers only, and the web demo refuses the model."""
    predicts_boxes: bool = False
    """Whether predictions have boxes, and training and test images must have them."""
    detects_all: bool = False
    """Whether all objects of a photo are predicted, instead of a few classes with a box each."""
    needs_init_from: bool = False
    """Whether a run makes no sense without another model's weights."""
    slides_window: bool = False
    """Whether the model predicts at windows smaller than its training crops, and therefore accepts smaller
    images."""


_CLASS_LOSSES = ("cross-entropy", "squared-error", "rbf")

TASKS = (
    TaskInfo(
        implementation="alexnet.tasks.classification:Classification",
        losses=_CLASS_LOSSES,
        logged=LoggedErrors("top-1 error", "one view", "training error"),
    ),
    TaskInfo(
        implementation="alexnet.tasks.localization:Localization",
        losses=("boxes",),
        logged=LoggedErrors("top-1 localization error", "one view", "training error of boxes"),
        title="Localization",
        model="overfeat-localizer",
        default_views="dense",
        predicts_boxes=True,
        needs_init_from=True,
    ),
    TaskInfo(
        implementation="alexnet.tasks.detection:Detection",
        losses=("objects",),
        logged=LoggedErrors(
            "1 - mean average precision", "whole photos", "training error of the best windows"
        ),
        title="Detections",
        model="overfeat-detector",
        default_views="dense",
        predicts_boxes=True,
        detects_all=True,
        slides_window=True,
    ),
)
"""All tasks, classification first. A new task is one entry here and the module that it names."""


def task_info(loss: str) -> TaskInfo:
    """The task that `training.loss` chooses; that of class labels where no task has such a loss."""
    return next((task for task in TASKS if loss in task.losses), TASKS[0])


def slides_window(model: str) -> bool:
    """Whether the model of that `model.name` slides a window that may be smaller than its training crops."""
    return any(task.slides_window for task in TASKS if task.model == model)


def task_checks(loss: str, model: str, scales: tuple[int, int]) -> Iterator[tuple[bool, str]]:
    """Conditions on loss, model and `data.scales`, each with the message if it does not hold."""
    known = [each for task in TASKS for each in task.losses]
    yield loss in known, f"training.loss={loss!r} must be one of {', '.join(known)}"
    claimed = [task for task in TASKS if task.model]
    pairs = [f"training.loss={task.losses[0]} with model.name={task.model}" for task in claimed]
    wanted = model if model in {task.model for task in claimed} else ""
    yield (
        task_info(loss).model == wanted,
        f"training.loss={loss} and model.name={model} do not fit together: type {' or '.join(pairs)}",
    )
    yield (
        not task_info(loss).predicts_boxes or not any(scales),
        "boxes are known for stored squares, not for photos at random scales: type data.scales=[0,0]",
    )
