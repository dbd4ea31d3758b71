"""The validation test during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from alexnet.config import RunConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import Diverged
from alexnet.evaluation.prediction_cache import predict_split
from alexnet.models.bundle import ModelBundle
from alexnet.runs.results import ViewSet
from alexnet.tasks.base import task_of

VALIDATION = ("val", ViewSet("center"))
"""Split and views of validation during training; a detector uses the whole image."""


def evaluation(config: RunConfig, store: Store) -> Callable[[nn.Module], Mapping[str, Any]]:
    """The function that tests a model during training: it returns `top1_error`, which is watched, and other
    values.

    It raises Diverged if the model's outputs are not finite.
    """
    preprocessing = Preprocessing.from_store(config.data, store)
    task = task_of(config, len(store.classes))
    split, views = VALIDATION

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        bundle = ModelBundle(model, config, store.classes, preprocessing, {})
        made = predict_split(task, bundle, store, split, task.own_views(views) or views)
        if not made.is_finite():
            raise Diverged("the model's outputs for the validation images are not finite")
        return task.watch(made, store)

    return evaluate
