"""The models, one file per family. `alexnet.models.AlexNet(...)` and the others are plain `torch.nn.Module`s.

Each is imported when it is first used, so that a configuration can be read without loading torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet.models.alexnet import AlexNet as AlexNet
    from alexnet.models.lenet import LeNet5 as LeNet5
    from alexnet.models.lenet import LeNet1989 as LeNet1989
    from alexnet.models.lenet import ModernLeNet as ModernLeNet
    from alexnet.models.overfeat import OverFeat as OverFeat
    from alexnet.models.vgg import VGG as VGG

_FILES = {
    "AlexNet": "alexnet",
    "LeNet1989": "lenet",
    "LeNet5": "lenet",
    "ModernLeNet": "lenet",
    "OverFeat": "overfeat",
    "VGG": "vgg",
}


def __dir__() -> list[str]:
    return list(_FILES)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'alexnet.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"alexnet.models.{_FILES[name]}"), name)
