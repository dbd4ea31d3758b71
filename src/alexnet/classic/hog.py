"""Dense histograms of oriented gradients: the 31 numbers a cell of Felzenszwalb et al., 2 x 2 cells a patch.

Source: Felzenszwalb, Girshick, McAllester, Ramanan, PAMI 2010, section 6.2 (18 signed and 9 unsigned
orientations and 4 texture energies of a cell, under four normalisations clipped at 0.2); 2 x 2 neighbouring
cells as one local descriptor: Xiao, Hays, Ehinger, Oliva, Torralba, CVPR 2010 (the SUN database).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from alexnet.classic.cell_histograms import cell_histograms
from alexnet.classic.grid import centres, places

ORIENTATIONS = 18
"""Signed; two opposite ones make one of the 9 unsigned."""
CLIP = 0.2
TEXTURE_WEIGHT = 0.2357
"""1 / sqrt(18), as the authors' release (voc-release, features.cc) writes it."""
EPSILON = 1e-4
"""Added to a block's energy on values of 0..255, there too: what is flat stays zero."""
NUMBERS_PER_CELL = ORIENTATIONS + ORIENTATIONS // 2 + 4


@dataclass(frozen=True)
class Hog:
    """Descriptors of patches of several sides (pixels; multiples of 4), `step` pixels apart.

    A patch is 4 x 4 cells: the inner 2 x 2 are described, the ring around them normalises. A photo has no
    descriptors of a size that it is not larger than; what is of one colour has zeros.
    """

    step: int = 8
    patches: tuple[int, ...] = (16, 24, 32)

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 124."""
        return 4 * NUMBERS_PER_CELL

    def centres(self, side: int) -> Tensor:
        """(P, 2) centres (x, y) in [0, 1] of the patches of a `side` x `side` image."""
        return centres(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) on the scale 0..255, shifted at will -> descriptors (N, P, 124)."""
        bins, magnitudes = orientations(images)
        return torch.cat([self._at_size(bins, magnitudes, patch) for patch in self.patches], 1)

    def _at_size(self, bins: Tensor, magnitudes: Tensor, patch: int) -> Tensor:
        cell, at = patch // 4, [places(size, patch, self.step) - patch // 2 for size in bins.shape[1:]]
        rows, columns = map(len, at)
        if rows * columns == 0:
            return magnitudes.new_zeros(len(bins), 0, self.dimension)
        top, left = (int(starts[0]) for starts in at)
        unit = math.gcd(self.step, cell)
        sums = cell_histograms(bins[:, top:, left:], magnitudes[:, top:, left:], ORIENTATIONS, unit)
        sums = functional.avg_pool2d(sums, cell // unit, 1, divisor_override=1)
        skip, apart = self.step // unit, cell // unit
        ring = [
            sums[:, :, y : y + (rows - 1) * skip + 1 : skip, x : x + (columns - 1) * skip + 1 : skip]
            for y in range(0, 4 * apart, apart)
            for x in range(0, 4 * apart, apart)
        ]
        histograms = torch.stack(ring, 1).flatten(3).unflatten(1, (4, 4))
        return _normalised(histograms).flatten(1, 3).transpose(1, 2)


def orientations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Orientation 0..17 (of 20 degrees each, from 0) and magnitude of each pixel's gradient, both (N, H, W).

    The colour channel with the largest gradient decides; differences are between both neighbours, and zero
    at the border in that direction.
    """
    down, right = torch.zeros_like(images), torch.zeros_like(images)
    down[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    right[:, :, :, 1:-1] = images[:, :, :, 2:] - images[:, :, :, :-2]
    squares, channel = (down * down + right * right).max(1, keepdim=True)
    angles = torch.atan2(down.gather(1, channel), right.gather(1, channel)) * (ORIENTATIONS / math.tau)
    bins = torch.floor(angles).to(torch.int64).remainder(ORIENTATIONS)
    return bins[:, 0], squares[:, 0].sqrt()


def _normalised(histograms: Tensor) -> Tensor:
    """(N, 4, 4, 18, P) of a patch's cells -> (N, 2, 2, 31, P) of its inner ones."""
    unsigned = histograms[:, :, :, : ORIENTATIONS // 2] + histograms[:, :, :, ORIENTATIONS // 2 :]
    energy = (unsigned * unsigned).sum(3)
    pairs = energy[:, 1:] + energy[:, :-1]
    factors = (pairs[:, :, 1:] + pairs[:, :, :-1] + EPSILON).rsqrt()[:, :, :, None]
    signed, unsigned = histograms[:, 1:3, 1:3], unsigned[:, 1:3, 1:3]
    described = histograms.new_empty(*signed.shape[:3], NUMBERS_PER_CELL, signed.shape[4])
    sums, textures = described[:, :, :, :-4].zero_(), described[:, :, :, -4:]
    for number, (y, x) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        block = factors[:, y : y + 2, x : x + 2]
        clipped = (signed * block).clamp_max_(CLIP)
        sums[:, :, :, :ORIENTATIONS].add_(clipped, alpha=0.5)
        sums[:, :, :, ORIENTATIONS:].add_((unsigned * block).clamp_max_(CLIP), alpha=0.5)
        textures[:, :, :, number] = clipped.sum(3).mul_(TEXTURE_WEIGHT)
    return described
