"""Pooling for dense evaluation: a classifier at every position of a photo instead of every few pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import max_pool2d


def at_every_offset(
    classify: Callable[[Tensor], Tensor], maps: Tensor, size: int, side: int, places: tuple[int, int]
) -> Tensor:
    """(N, K, *positions) outputs of `classify` for the window of `maps` (N, C, H, W) that starts at each
    position.

    `maps` are max-pooled without overlap, `size` x `size`, from each offset (dy, dx) of 0 ... size - 1.
    `classify` takes pooled maps (N, C, h, w) to (N, K, h - side + 1, w - side + 1). Its outputs, `size`
    positions apart, are interleaved. A window has size x side rows and columns and must lie within the maps.
    Source: Sermanet et al. 2013 (arXiv:1312.6229), section 3.3 and figure 3.
    """
    rows, columns = places
    result: Tensor | None = None
    for dy in range(min(size, rows)):
        for dx in range(min(size, columns)):
            height, width = (-((d - n) // size) + side - 1 for d, n in ((dy, rows), (dx, columns)))
            part = maps[:, :, dy : dy + size * height, dx : dx + size * width]
            outputs = classify(max_pool2d(part, size))
            if result is None:
                result = outputs.new_empty((maps.shape[0], outputs.shape[1], rows, columns))
            result[:, :, dy::size, dx::size] = outputs
    assert result is not None, "there is at least one place"
    return result


def filters_of_averages(filters: Tensor, side: int) -> Tensor:
    """(O, C, side, side) filters for maps that are equivalent to `filters` (O, C, n, n) for their adaptive
    averages.

    For each side x side part of a map, a convolution with them gives the same as one with `filters` after
    `torch.nn.AdaptiveAvgPool2d(n)` of that part, since averaging is linear.
    """
    pixels = torch.eye(side**2, dtype=filters.dtype, device=filters.device).view(-1, 1, side, side)
    shares = functional.adaptive_avg_pool2d(pixels, filters.shape[-1]).flatten(1)
    return (filters.flatten(2) @ shares.T).unflatten(2, (side, side))
