"""VGG as table 1 of Simonyan and Zisserman 2014 prints it: columns of text, walked with plain functions."""

from __future__ import annotations

import torch
from reference.response_norm import across_maps
from torch import Tensor
from torch.nn import functional as f

_DEEP = "conv3-64 conv3-64 pool conv3-128 conv3-128 pool"
TABLE_1 = {
    "A": "conv3-64 pool conv3-128 pool conv3-256 conv3-256 pool conv3-512 conv3-512 pool "
    "conv3-512 conv3-512 pool",
    "A-LRN": "conv3-64 LRN pool conv3-128 pool conv3-256 conv3-256 pool conv3-512 conv3-512 pool "
    "conv3-512 conv3-512 pool",
    "B": f"{_DEEP} conv3-256 conv3-256 pool conv3-512 conv3-512 pool conv3-512 conv3-512 pool",
    "C": f"{_DEEP} conv3-256 conv3-256 conv1-256 pool conv3-512 conv3-512 conv1-512 pool "
    "conv3-512 conv3-512 conv1-512 pool",
    "D": f"{_DEEP} conv3-256 conv3-256 conv3-256 pool conv3-512 conv3-512 conv3-512 pool "
    "conv3-512 conv3-512 conv3-512 pool",
    "E": f"{_DEEP} conv3-256 conv3-256 conv3-256 conv3-256 pool conv3-512 conv3-512 conv3-512 conv3-512 pool "
    "conv3-512 conv3-512 conv3-512 conv3-512 pool",
}


def counts(net: str, side: int = 224, classes: int = 1000) -> list[tuple[int, int]]:
    """Parameters and multiply-adds of each layer."""
    found: list[tuple[int, int]] = []
    maps = 3
    for word in TABLE_1[net].split():
        if word == "pool":
            side //= 2
        elif word != "LRN":
            size, width = (int(number) for number in word.removeprefix("conv").split("-"))
            weights = maps * width * size * size
            found.append((weights + width, weights * side * side))
            maps = width
    inputs = maps * side * side
    for units in (4096, 4096, classes):
        found.append((inputs * units + units, inputs * units))
        inputs = units
    return found


def logits(net: str, layers: list[tuple[Tensor, Tensor]], images: Tensor) -> Tensor:
    """In test mode, of a net of any widths: weights and biases of its layers in order."""
    left, maps = list(layers), images
    for word in TABLE_1[net].split():
        if word == "pool":
            maps = f.max_pool2d(maps, 2, 2)
        elif word == "LRN":
            maps = across_maps(maps, size=5, alpha=1e-4 / 5, beta=0.75, k=2.0, groups=1)
        else:
            weight, bias = left.pop(0)
            assert weight.shape[2:] == (int(word[4]), int(word[4]))
            maps = torch.relu(f.conv2d(maps, weight, bias, padding=int(word[4]) // 2))
    hidden = maps.flatten(1)
    for weight, bias in left[:-1]:
        hidden = torch.relu(f.linear(hidden, weight, bias))
    return f.linear(hidden, *left[-1])
