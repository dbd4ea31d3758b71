"""A model applied to every part of an image or of its maps, one by one: reference implementation of class
maps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from alexnet.models.alexnet import AlexNet


def windows(forward: Callable[[Tensor], Tensor], maps: Tensor, side: int, stride: int = 1) -> Tensor:
    """(N, K, h, w): `forward` ((N, C, side, side) -> (N, K)) of each part of `maps`, `stride` apart."""
    rows = range(0, maps.shape[2] - side + 1, stride)
    columns = range(0, maps.shape[3] - side + 1, stride)
    outputs = [[forward(maps[:, :, y : y + side, x : x + side]) for x in columns] for y in rows]
    return torch.stack([torch.stack(row, dim=-1) for row in outputs], dim=-2)


def last_maps(model: AlexNet, images: Tensor) -> Tensor:
    """What the last pooling gives of images of any size, step by step."""
    hidden = images
    for layer in [name for name in model.layers if name.startswith("conv")]:
        hidden = model.get_submodule(layer)(hidden)
        for word, step in model.after[layer].named_children():
            if word not in ("to6x6", "average", "dropout", "flatten"):
                hidden = step(hidden)
    return hidden


def classifier(model: AlexNet) -> Callable[[Tensor], Tensor]:
    """All after the last pooling, of maps as large as a crop's."""

    def forward(maps: Tensor) -> Tensor:
        side = _averaged_to(model)
        hidden = torch.nn.functional.adaptive_avg_pool2d(maps, side) if side else maps
        hidden = hidden.flatten(1)
        for layer in [name for name in model.layers if not name.startswith("conv")][:-1]:
            hidden = model.after[layer](model.get_submodule(layer)(hidden))
        return model.fc8(hidden)

    return forward


def _averaged_to(model: AlexNet) -> int:
    """The side to which the last maps are averaged; 0 if they are not."""
    steps = {
        step for layer in model.architecture.layers[:-1] for step in model.architecture.steps_after(layer)
    }
    return 6 if "to6x6" in steps else 1 if "average" in steps else 0
