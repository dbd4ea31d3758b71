"""AlexNet (Krizhevsky, Sutskever, Hinton 2012): prepare, train, evaluate, predict.

From Python::

    import alexnet

    store = alexnet.prepare("photos", "store", side=72)
    alexnet.train("alexnet-2012", store, "run")
    (result,) = alexnet.evaluate("run", store)
    print(result.top1.error, result.top1.interval)
    predictor = alexnet.load("run")
    print(predictor.predict("photo.jpg")[0])

In one call: `alexnet.fit("photos", "run", minutes=10)` prepares, trains several models, chooses and tests,
and returns the predictor.

`alexnet.Store.open(path)` opens a prepared data set; `alexnet.create_model(name, num_classes)` builds an
untrained `torch.nn.Module`, `alexnet.list_models()` lists the names. Heavy packages such as torch are
imported when they are first needed.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # of typing, whose import takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from alexnet import models as models
    from alexnet.data.prepare import prepare_source as prepare
    from alexnet.data.sources.base import SourceOptions as SourceOptions
    from alexnet.data.store import Store as Store
    from alexnet.evaluation.any_model import evaluate_model, wrap_model
    from alexnet.evaluation.labeled_photos import evaluate_photos
    from alexnet.evaluation.predictor import load
    from alexnet.evaluation.run_evaluation import evaluate
    from alexnet.fitting.classic_estimators import SiftFisherClassifier as SiftFisherClassifier
    from alexnet.fitting.classic_estimators import SparseCodingClassifier as SparseCodingClassifier
    from alexnet.fitting.estimator import AlexNetClassifier as AlexNetClassifier
    from alexnet.fitting.fit import fit
    from alexnet.models.create import create_model
    from alexnet.models.registry import list_models
    from alexnet.training.run import train

__version__ = "0.2.0.dev0"
__all__ = [
    "AlexNetClassifier",
    "SiftFisherClassifier",
    "SourceOptions",
    "SparseCodingClassifier",
    "Store",
    "__version__",
    "create_model",
    "evaluate",
    "evaluate_model",
    "evaluate_photos",
    "fit",
    "list_models",
    "load",
    "models",
    "prepare",
    "train",
    "wrap_model",
]

_LAZY = {
    "AlexNetClassifier": ("alexnet.fitting.estimator", "AlexNetClassifier"),
    "SiftFisherClassifier": ("alexnet.fitting.classic_estimators", "SiftFisherClassifier"),
    "SparseCodingClassifier": ("alexnet.fitting.classic_estimators", "SparseCodingClassifier"),
    "SourceOptions": ("alexnet.data.sources.base", "SourceOptions"),
    "Store": ("alexnet.data.store", "Store"),
    "create_model": ("alexnet.models.create", "create_model"),
    "evaluate": ("alexnet.evaluation.run_evaluation", "evaluate"),
    "evaluate_model": ("alexnet.evaluation.any_model", "evaluate_model"),
    "evaluate_photos": ("alexnet.evaluation.labeled_photos", "evaluate_photos"),
    "fit": ("alexnet.fitting.fit", "fit"),
    "list_models": ("alexnet.models.registry", "list_models"),
    "load": ("alexnet.evaluation.predictor", "load"),
    "prepare": ("alexnet.data.prepare", "prepare_source"),
    "train": ("alexnet.training.run", "train"),
    "wrap_model": ("alexnet.evaluation.any_model", "wrap_model"),
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(importlib.import_module(module), attribute)
    if name == "models":
        return importlib.import_module("alexnet.models")
    raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
