"""SIFT on a dense grid: the descriptor of Lowe 2004, upright, at several sizes, by products of matrices.

A cell's weight of a pixel (the Gaussian of the patch times the cell's triangle) is a product of one factor of
the row and one of the column, and so are blurring and differences. So all patches' histograms are the eight
maps of oriented gradients multiplied from the left and from the right by a matrix each.
Source: Lowe, IJCV 2004, section 6.1. Square roots: Arandjelovic and Zisserman, CVPR 2012 (RootSIFT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from alexnet.classic.brightness import brightness
from alexnet.classic.grid import centres, places

ORIENTATIONS, CELLS = 8, 4
"""Bins of orientation; cells along a side. 4 x 4 x 8 = 128 numbers (Lowe 2004, section 6.2)."""
WINDOW = CELLS / 2
"""Deviation of the Gaussian in cells: "one half the width of the descriptor window" (section 6.1)."""
CLIP = 0.2
"""Largest number of a descriptor of length one, which is then brought to length one again (section 6.1)."""
BLUR = 1 / 6
"""Deviation in cells of the Gaussian that smooths the photo before: VLFeat's `vl_phow`, Magnif = 6."""
FLAT = 1e-3
"""Grey levels of gradient, on average, below which a patch is flat: rounding errors are smaller, half a level
of one colour is more."""


@dataclass(frozen=True)
class DenseSift:
    """SIFT descriptors of patches of several sides, in pixels, `step` pixels apart.

    Numbers come cell by cell, row by row, and in a cell by orientation, counter-clockwise from the right.
    With `root` they are the square roots of descriptors that sum to one. A flat patch has zeros. What is
    outside the photo counts as flat. A photo has no descriptors of a size that it is not
    larger than.
    """

    step: int = 4
    patches: tuple[int, ...] = (16, 24, 32, 40)
    root: bool = False
    blur: float = BLUR

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 128."""
        return CELLS * CELLS * ORIENTATIONS

    def centres(self, side: int) -> Tensor:
        """(P, 2) centres (x, y) in [0, 1] of the patches of a `side` x `side` photo."""
        return centres(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Photos (N, 3, H, W) on the scale 0..255, shifted at will -> (N, P, 128), of length one or zero."""
        grey = brightness(images)
        sizes = [self._at_size(grey, patch) for patch in self.patches if min(grey.shape[1:]) > patch]
        return torch.cat([grey.new_zeros(len(grey), 0, self.dimension), *sizes], 1)

    def _at_size(self, grey: Tensor, patch: int) -> Tensor:
        cell, (height, width) = patch / CELLS, grey.shape[1:]
        maps = oriented_gradients(grey, self.blur * cell)
        rows, columns = (
            _cell_weights(size, patch, self.step).to(grey.device, grey.dtype) for size in (height, width)
        )
        sums = rows @ (maps @ columns.T)
        cells = sums.view(len(grey), ORIENTATIONS, CELLS, len(rows) // CELLS, CELLS, len(columns) // CELLS)
        histograms = cells.permute(0, 3, 5, 2, 4, 1).flatten(3).flatten(1, 2)
        return normalised(histograms, FLAT * cell * cell, self.root)


def normalised(histograms: Tensor, flat: float, root: bool) -> Tensor:
    """Rows of (..., 128) at length one, clipped, at length one again; zeros where shorter than `flat`."""
    length = histograms.norm(dim=-1, keepdim=True)
    clipped = torch.minimum(histograms, CLIP * length)
    if root:
        total = clipped.sum(-1, keepdim=True)
        return (clipped * torch.where(length > flat, 1 / total, 0)).sqrt_()
    return clipped * torch.where(length > flat, 1 / clipped.norm(dim=-1, keepdim=True), 0)


def oriented_gradients(grey: Tensor, blur: float) -> Tensor:
    """Grey photos (N, H, W) -> (N, 8, H, W): gradients' sizes, each shared out between two orientations.

    The photo is smoothed by a Gaussian of deviation `blur` before. Its outermost pixels have no gradient.
    """
    smooth, slope = zip(*(_blurs(size, blur) for size in grey.shape[1:]), strict=True)
    (down, across), (rise, run) = (
        [each.to(grey.device, grey.dtype) for each in pair] for pair in (smooth, slope)
    )
    right = down @ grey @ run.T
    up = -(rise @ grey @ across.T)
    size, angle = torch.hypot(right, up), torch.atan2(up, right) * (ORIENTATIONS / math.tau)
    # Angles are -4..4 eighths of a circle, where both ends are the same orientation.
    number = torch.tensor([0, 1, 2, 3, 4, -3, -2, -1], device=grey.device, dtype=grey.dtype)
    maps = (angle[:, None] - number[:, None, None]).abs_().neg_().add_(1).clamp_min_(0)
    maps[:, 4] += (-3 - angle).clamp_min_(0)
    return maps.mul_(size[:, None])


@lru_cache(maxsize=64)
def _blurs(side: int, blur: float) -> tuple[Tensor, Tensor]:
    """(side, side) twice: what smooths a line of pixels, and what gives differences of that.

    Both leave zeros at the ends. The line is continued by its mirror image, without the end repeated.
    """
    reach = round(4 * blur)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-(offsets**2) / (2 * max(blur, 1e-6) ** 2))
    mirrored = (torch.arange(side)[:, None] + offsets.long()) % max(1, 2 * side - 2)
    mirrored = torch.minimum(mirrored, 2 * side - 2 - mirrored)
    smooth = torch.zeros(side, side, dtype=torch.float64)
    smooth.scatter_add_(1, mirrored, (kernel / kernel.sum()).expand(side, -1))
    slope = torch.zeros_like(smooth)
    slope[1:-1] = smooth[2:] - smooth[:-2]
    smooth[[0, -1]] = 0
    return smooth, slope


@lru_cache(maxsize=64)
def _cell_weights(side: int, patch: int, step: int) -> Tensor:
    """(4 * n, side) a pixel's factor in each cell of each patch along a line, cell by cell."""
    cell = patch / CELLS
    away = (torch.arange(side) - places(side, patch, step)[:, None]).double() / cell
    middles = torch.arange(CELLS, dtype=torch.float64) - (CELLS - 1) / 2
    triangles = (1 - (away - middles[:, None, None]).abs()).clamp_min(0)
    return (triangles * torch.exp(-(away**2) / (2 * WINDOW**2))).flatten(0, 1)
