"""Net 145 of 2012 with explicit towers and plain functions: slow and simple."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as f


def across_maps(maps: Tensor) -> Tensor:
    """Window 5 over maps of one tower; alpha 1e-4 / 5, beta 0.75, k 2."""
    result = torch.empty_like(maps)
    count = maps.shape[1]
    for i in range(count):
        window = maps[:, max(0, i - 2) : min(count, i + 3)]
        result[:, i] = maps[:, i] / (2 + 1e-4 / 5 * (window**2).sum(1)) ** 0.75
    return result


def within_map(maps: Tensor) -> Tensor:
    """5 x 5 window within a map, clipped at borders, divisor 25 throughout; alpha 1e-3, k 1."""
    result = torch.empty_like(maps)
    rows, columns = maps.shape[2:]
    for y in range(rows):
        for x in range(columns):
            window = maps[:, :, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            result[:, :, y, x] = maps[:, :, y, x] / (1 + 1e-3 / 25 * (window**2).sum((2, 3))) ** 0.75
    return result


def net_145(weights: dict[str, Tensor], images: Tensor, stride: int = 4) -> Tensor:
    """Logits in test mode of preprocessed images (N, C, S, S), with conv1's stride."""
    border = (-(images.shape[-1] - weights["conv1.weight"].shape[-1])) % stride
    images = f.pad(images, (0, border, 0, border))

    def part(name: str, tower: int, kind: str) -> Tensor:
        return weights[f"{name}.{kind}"].chunk(2)[tower]

    def convolve(name: str, tower: int, maps: Tensor, **options: int) -> Tensor:
        return f.conv2d(maps, part(name, tower, "weight"), part(name, tower, "bias"), **options)

    towers: list[Tensor] = []
    for tower in range(2):
        first = across_maps(convolve("conv1", tower, images, stride=stride))
        first = f.max_pool2d(first, 3, 2, ceil_mode=True).relu()
        second = convolve("conv2", tower, first, padding=2).relu()
        towers.append(f.max_pool2d(within_map(across_maps(second)), 3, 2, ceil_mode=True))
    both = torch.cat(towers, 1)
    towers = [convolve("conv3", tower, both, padding=1).relu() for tower in range(2)]
    towers = [convolve("conv4", tower, towers[tower], padding=1).relu() for tower in range(2)]
    towers = [convolve("conv5", tower, towers[tower], padding=1) for tower in range(2)]
    towers = [f.max_pool2d(tower, 3, 2, ceil_mode=True).relu() for tower in towers]
    hidden = torch.cat(towers, 1).flatten(1)
    for name in ("fc6", "fc7"):
        hidden = 0.5 * f.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]).relu()
    return f.linear(hidden, weights["fc8.weight"], weights["fc8.bias"])
