"""Both response normalizations by loops over maps and pixels, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor


def across_maps(maps: Tensor, size: int, alpha: float, beta: float, k: float, groups: int) -> Tensor:
    """The window is size // 2 maps before and size - 1 - size // 2 after, clipped at its tower's ends."""
    count = maps.shape[1]
    width = count // groups
    rows: list[Tensor] = []
    for i in range(count):
        tower = i // width
        first = max(i - size // 2, tower * width)
        last = min(i - size // 2 + size - 1, (tower + 1) * width - 1)
        squares = sum((maps[:, j] ** 2 for j in range(first, last + 1)), torch.zeros_like(maps[:, i]))
        rows.append(maps[:, i] / (k + alpha * squares) ** beta)
    return torch.stack(rows, 1)


def within_map(maps: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """The window is size x size pixels around each, clipped at the borders; alpha is not divided."""
    height, width = maps.shape[2:]
    reach = size // 2
    rows: list[Tensor] = []
    for y in range(height):
        for x in range(width):
            window = maps[:, :, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            rows.append(maps[:, :, y, x] / (k + alpha * (window**2).sum((2, 3))) ** beta)
    return torch.stack(rows, 2).unflatten(2, (height, width))
