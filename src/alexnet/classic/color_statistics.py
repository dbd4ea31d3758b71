"""Local colour statistics: mean and deviation of R, G and B over 4 x 4 cells of a patch, 96 numbers.

Source: Perronnin, Sanchez, Mensink, ECCV 2010, as Sanchez and Perronnin, CVPR 2011, use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from alexnet.classic.grid import centres, places

CELLS = 4
"""Along a side of the patch."""


@dataclass(frozen=True)
class ColorStatistics:
    """Colours of patches of several sides, in pixels, `step` pixels apart.

    Numbers come colour by colour: 16 means, cell by cell, row by row, then 16 deviations. A flat patch has
    deviations of 0 but for rounding, which is less than 0.2 grey levels. A photo has no descriptors of a size
    that it is not larger than.
    """

    step: int = 4
    patches: tuple[int, ...] = (16, 24, 32, 40)

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor: 96."""
        return 3 * 2 * CELLS * CELLS

    def centres(self, side: int) -> Tensor:
        """(P, 2) centres (x, y) in [0, 1] of the patches of a `side` x `side` photo."""
        return centres(side, self.patches, self.step)

    def describe(self, images: Tensor) -> Tensor:
        """Photos (N, 3, H, W) on the scale 0..255 -> (N, P, 96) in grey levels.

        A shift of a photo's colours shifts the means alike.
        """
        powers = torch.stack([images, images * images], 2)
        sizes = [self._at_size(powers, patch) for patch in self.patches if min(images.shape[2:]) > patch]
        return torch.cat([images.new_zeros(len(images), 0, self.dimension), *sizes], 1)

    def _at_size(self, powers: Tensor, patch: int) -> Tensor:
        rows, columns = (
            _cell_means(size, patch, self.step).to(powers.device, powers.dtype) for size in powers.shape[3:]
        )
        means = rows @ (powers @ columns.T)
        deviations = (means[:, :, 1] - means[:, :, 0].square()).clamp_min(0).sqrt()
        both = torch.stack([means[:, :, 0], deviations], 2)
        cells = both.view(len(powers), 3, 2, CELLS, len(rows) // CELLS, CELLS, len(columns) // CELLS)
        return cells.permute(0, 4, 6, 1, 2, 3, 5).flatten(3).flatten(1, 2)


@lru_cache(maxsize=64)
def _cell_means(side: int, patch: int, step: int) -> Tensor:
    """(4 * n, side) a pixel's share in each cell of each patch along a line; the patches of a cell follow."""
    cell = patch // CELLS
    away = torch.arange(side) - places(side, patch, step)[:, None] + patch // 2
    inside = away // cell == torch.arange(CELLS)[:, None, None]
    return (inside.double() / cell).flatten(0, 1)
