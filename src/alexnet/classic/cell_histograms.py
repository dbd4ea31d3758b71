"""Histograms of pixels over small square cells."""

from __future__ import annotations

import torch
from torch import Tensor


def cell_histograms(bins: Tensor, weights: Tensor, count: int, cell: int) -> Tensor:
    """Sums of `weights` (N, H, W) by `bins` (N, H, W; int64 below `count`) over cells of `cell` pixels.

    Returns (N, count, H // cell, W // cell); pixels beyond the last whole cell are left out.
    """
    images, rows, columns = len(bins), bins.shape[1] // cell, bins.shape[2] // cell
    bins, weights = (each[:, : rows * cell, : columns * cell] for each in (bins, weights))
    y, x = (torch.arange(size * cell, device=bins.device) // cell for size in (rows, columns))
    slots = (y[:, None] * columns + x) * count + bins
    sums = weights.new_zeros(images, rows * columns * count)
    sums.scatter_add_(1, slots.flatten(1), weights.flatten(1))
    return sums.view(images, rows, columns, count).permute(0, 3, 1, 2)
