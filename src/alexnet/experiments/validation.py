"""Validation during training for runs that are compared: on validation images and on training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from alexnet.config import RunConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store, training_images
from alexnet.data.subset import stratified_order
from alexnet.errors import Diverged
from alexnet.evaluation.inference import infer_images
from alexnet.evaluation.metrics import FEWEST_CLASSES, count_errors, mean_nll, true_ranks
from alexnet.evaluation.views import scaled_views
from alexnet.models.bundle import ModelBundle
from alexnet.runs.results import ViewSet
from alexnet.tasks.classification import Classification

VALIDATION, VIEWS = "val", "center"
TRAINING_ERROR, ERROR = "training_error", "top1_error"


def with_training_error(config: RunConfig, store: Store) -> Callable[[nn.Module], Mapping[str, Any]]:
    """Validates a model on the validation images and on as many training images, in the same way.

    One center crop, without augmentation and dropout. Adds `training_error` and `training_nll` to what
    `alexnet train` logs.
    """
    preprocessing = Preprocessing.from_store(config.data, store)
    validation, training = store.split(VALIDATION), training_sample(config, store)

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        bundle = ModelBundle(model, config, store.classes, preprocessing, {})
        found, on_training = validation_errors(bundle, validation), validation_errors(bundle, training)
        return {
            "images": len(validation),
            **found,
            TRAINING_ERROR: on_training[ERROR],
            "training_nll": on_training["nll"],
        }

    return evaluate


def training_sample(config: RunConfig, store: Store) -> Split:
    """As many training images as there are validation images, or all: balanced, always the same ones."""
    images = training_images(store, config.data)
    return images.part(
        np.sort(stratified_order(images.keys(), images.labels)[: len(store.split(VALIDATION))])
    )


def class_probabilities(bundle: ModelBundle, split: Split) -> npt.NDArray[np.float32]:
    """(N, K) probabilities for one center crop of all images of a split; Diverged if one is NaN or Inf."""
    task = Classification(bundle.config, len(bundle.classes))
    probabilities = np.stack(infer_images(task, bundle, split, scaled_views(bundle, ViewSet(VIEWS))))
    if not np.isfinite(probabilities).all():
        raise Diverged(f"predictions for the {split.name} images are not finite")
    return probabilities


def validation_errors(bundle: ModelBundle, split: Split) -> dict[str, Any]:
    """`top1_error`, `top5_error` (None with fewer than ten classes) and `nll` of all images of a split.

    Diverged if a prediction is NaN or Inf.
    """
    probabilities, labels = class_probabilities(bundle, split), split.labels.astype(np.int64)
    ranks = true_ranks(probabilities, labels)
    few = probabilities.shape[1] < FEWEST_CLASSES
    return {
        "top1_error": count_errors(ranks, 1) / len(split),
        "top5_error": None if few else count_errors(ranks, 5) / len(split),
        "nll": mean_nll(probabilities, labels),
    }
