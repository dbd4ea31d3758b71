"""Square patches on a regular grid, at several sizes, and histograms of pixels over small cells."""

from __future__ import annotations

import torch
from torch import Tensor


def places(side: int, patch: int, step: int) -> int:
    """How many patches of `patch` pixels, `step` pixels apart, fit along `side` pixels; 0 where none does."""
    return max(0, (side - patch) // step + 1)


def centres(side: int, patches: tuple[int, ...], step: int, margin: int = 0) -> Tensor:
    """(P, 2) centres (x, y) in [0, 1] of the patches of a square image, size by size, then row by row.

    The grid of each size begins `margin` pixels from the image's border.
    """
    grids: list[Tensor] = [torch.zeros(0, 2)]
    for patch in patches:
        steps = torch.arange(places(side - 2 * margin, patch, step))
        along = (margin + steps * step + patch / 2) / side
        y, x = torch.meshgrid(along, along, indexing="ij")
        grids.append(torch.stack([x, y], 2).flatten(0, 1))
    return torch.cat(grids)


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
