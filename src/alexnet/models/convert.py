"""Weights of other programs' AlexNets under our names."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from alexnet.errors import DataError
from alexnet.models.alexnet import AlexNet

_TORCHVISION = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}


def from_torchvision(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """torchvision's AlexNet state_dict as ours; DataError where a name is not one of torchvision's.

    Maps come before rows and columns in fc6's inputs in both, so no weight has to move.
    """
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if layer not in _TORCHVISION:
            raise DataError(f"{name} is not in torchvision's AlexNet, which has {', '.join(_TORCHVISION)}")
        renamed[f"{_TORCHVISION[layer]}.{kind}"] = tensor
    return renamed


def load_torchvision_state_dict(model: AlexNet, state: Mapping[str, torch.Tensor]) -> None:
    """Fills a `one-weird-trick` net with torchvision's weights; DataError names what does not fit."""
    weights = from_torchvision(state)
    for name, wanted in model.state_dict().items():
        found = tuple(weights[name].shape) if name in weights else "missing"
        if found != tuple(wanted.shape):
            raise DataError(
                f"{name} is {found} in these weights, {tuple(wanted.shape)} in this net: "
                "build AlexNet('one-weird-trick') with as many classes"
            )
    model.load_state_dict(weights)
