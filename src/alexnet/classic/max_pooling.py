"""The largest value of each atom among the descriptors of a cell.

Source: Yang, Yu, Gong, Huang, CVPR 2009.
"""

from __future__ import annotations

from torch import Tensor

from alexnet.classic.sparse_code import SparseCodes


def max_pool(codes: SparseCodes, cells: Tensor, words: int, photos: int) -> Tensor:
    """Codes of N `photos` with P descriptors each, `cells` (C, P; bool) -> (N, C, words), at least 0.

    `codes` has N x P rows, photo by photo. What no descriptor of a cell uses, or only with negative values,
    is 0; so is a cell without descriptors.
    """
    places, width = cells.shape[1], codes.values.shape[1]
    atoms, values = (each.view(photos, places, width) for each in (codes.atoms, codes.values))
    pooled = values.new_zeros(photos, len(cells), words)
    for number, cell in enumerate(cells):
        here = cell.nonzero()[:, 0]
        pooled[:, number].scatter_reduce_(1, atoms[:, here].flatten(1), values[:, here].flatten(1), "amax")
    return pooled
