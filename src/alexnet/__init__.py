"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), completely and for real.

`alexnet.load(run)` opens a trained net, `alexnet.Store.open(path)` a prepared data set,
`alexnet.models.AlexNet(...)` is a plain `torch.nn.Module`. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet import models as models
    from alexnet.data.store import Store as Store
    from alexnet.evaluation.predictor import load

__version__ = "0.1.0"
__all__ = ["Store", "__version__", "load", "models"]

_LAZY = {"load": ("alexnet.evaluation.predictor", "load"), "Store": ("alexnet.data.store", "Store")}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(importlib.import_module(module), attribute)
    if name == "models":
        return importlib.import_module("alexnet.models")
    raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
