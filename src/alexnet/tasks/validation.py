"""What `train` tests a net by while it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from alexnet.config import RunConfig
    from alexnet.data.store import Store
    from alexnet.models.bundle import ModelBundle

VALIDATION = ("val", "center")
"""Split and views that are tested while training; a detector sees all of each image."""


def evaluation(config: RunConfig, store: Store) -> Callable[[nn.Module], Mapping[str, Any]]:
    """What tests a net while it is trained: `top1_error`, which is to fall, and more."""
    from alexnet.data.preprocessing import Preprocessing
    from alexnet.models.bundle import ModelBundle

    preprocessing = Preprocessing.from_store(config.data, store)
    test = {"boxes": _localization, "objects": _detection}.get(config.training.loss, _classification)

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        return test(ModelBundle(model, config, store.classes, preprocessing, {}), store)

    return evaluate


def _classification(net: ModelBundle, store: Store) -> dict[str, Any]:
    import numpy as np

    from alexnet.errors import Diverged
    from alexnet.evaluation import metrics
    from alexnet.evaluation.inference import predict

    made = predict(net, store, *VALIDATION)
    if not np.isfinite(made.probabilities).all():
        raise Diverged("the net's answers to the validation images are not finite")
    found = metrics.evaluate(made).to_dict()
    return {name: found[name] for name in ("images", "top1_error", "top5_error", "nll")}


def _localization(net: ModelBundle, store: Store) -> dict[str, Any]:
    """The localization's errors where the log has those of classes, and the latter beside them."""
    from alexnet.tasks import localization

    found = localization.errors(localization.locate_split(net, store, *VALIDATION), store)
    return {
        "images": found["images"],
        "top1_error": found["top1_localization_error"],
        "top5_error": found["top5_localization_error"],
        "classification_top1_error": found["top1_error"],
        "classification_top5_error": found["top5_error"],
    }


def _detection(net: ModelBundle, store: Store) -> dict[str, Any]:
    """1 - mean average precision where the log has the error of classes, so that it is to fall too."""
    from alexnet.tasks import detection

    found = detection.precision(detection.detect_split(net, store, VALIDATION[0]), store)
    precision = found["mean_average_precision"]
    return {
        "images": found["images"],
        "objects": found["objects"],
        "top1_error": 1.0 - precision,
        "top5_error": None,
        "mean_average_precision": precision,
    }
