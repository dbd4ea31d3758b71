"""Local binary patterns: which of a pixel's eight neighbours are at least as bright, counted over patches.

Source: Ojala, Pietikainen, Maenpaa, PAMI 2002: LBP with 8 neighbours at radius 1, the 58 uniform patterns
(at most two changes around the circle) and one for all others, kept apart by rotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from alexnet.classic.brightness import brightness
from alexnet.classic.cell_histograms import cell_histograms
from alexnet.classic.grid import centres, places

NEIGHBOURS = 8
PATTERNS = NEIGHBOURS * (NEIGHBOURS - 1) + 3
"""59: none brighter, 7 lengths of a run x 8 rotations, all brighter, the rest."""
_DIAGONAL = math.sqrt(0.5)
_AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Row and column of the neighbours, counter-clockwise from the right."""


@dataclass(frozen=True)
class LocalBinaryPatterns:
    """Descriptors of patches of several sides (pixels), `step` pixels apart.

    A photo has no descriptors of a size that it is not larger than. What is of one colour shows the pattern
    "all as bright" everywhere, which is a descriptor like any other.
    """

    step: int = 8
    patches: tuple[int, ...] = (16, 24, 32)

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 59."""
        return PATTERNS

    def centres(self, side: int) -> Tensor:
        """(P, 2) centres (x, y) in [0, 1] of the patches of a `side` x `side` image."""
        return centres(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> descriptors (N, P, 59): square roots of the share of each pattern.

        The squares of a descriptor sum to 1, so that distances between descriptors are Hellinger's.
        """
        codes = patterns(brightness(images))
        # The border's pixels lack neighbours: they have no pattern and do not count.
        known = functional.pad(torch.ones_like(codes, dtype=images.dtype), (1, 1, 1, 1))
        codes = functional.pad(codes, (1, 1, 1, 1))
        return torch.cat([self._at_size(codes, known, patch) for patch in self.patches], 1)

    def _at_size(self, codes: Tensor, known: Tensor, patch: int) -> Tensor:
        at = [places(size, patch, self.step) - patch // 2 for size in codes.shape[1:]]
        if 0 in map(len, at):
            return known.new_zeros(len(known), 0, self.dimension)
        top, left = (int(starts[0]) for starts in at)
        unit = math.gcd(self.step, patch)
        counts = cell_histograms(codes[:, top:, left:], known[:, top:, left:], PATTERNS, unit)
        shares = functional.avg_pool2d(counts, patch // unit, self.step // unit)
        shares = shares / shares.sum(1, keepdim=True)
        return shares.sqrt().flatten(2).transpose(1, 2)


def patterns(grey: Tensor) -> Tensor:
    """Pattern 0..58 of every pixel but the border's: (N, H, W) -> int64 (N, H - 2, W - 2).

    Diagonal neighbours lie on the circle too, interpolated between four pixels. Numbered as scikit-image's
    `nri_uniform`: 0 none, then by length of the run and by rotation, 57 all, 58 not uniform.
    """
    images, height, width = grey.shape
    if min(height, width) < 3:
        return torch.zeros(
            images, max(0, height - 2), max(0, width - 2), dtype=torch.int64, device=grey.device
        )
    centre = grey[:, 1:-1, 1:-1]
    rise = {(y, x): grey[:, 1 + y : height - 1 + y, 1 + x : width - 1 + x] - centre for y, x in _AROUND}
    codes = torch.zeros(centre.shape, dtype=torch.uint8, device=grey.device)
    for bit, (y, x) in enumerate(_AROUND):
        higher = rise[y, x]
        if y and x:
            higher = _DIAGONAL * higher + (1 - _DIAGONAL) * (rise[y, 0] + rise[0, x])
        codes |= (higher >= 0).to(torch.uint8) << bit
    return _labels().to(grey.device)[codes.to(torch.int64)]


def _labels() -> Tensor:
    """(256,) the pattern's number of each set of brighter neighbours."""
    return torch.tensor([_label([code >> bit & 1 for bit in range(NEIGHBOURS)]) for code in range(256)])


def _label(bits: list[int]) -> int:
    starts = [place for place in range(NEIGHBOURS) if bits[place] > bits[place - 1]]
    if len(starts) > 1:
        return PATTERNS - 1
    if not starts:
        return (PATTERNS - 2) * bits[0]
    return 1 + (sum(bits) - 1) * NEIGHBOURS + (-starts[0]) % NEIGHBOURS
