"""Super-vector coding: how many descriptors have a word nearest, and how they lie about it.

Source: Zhou, Yu, Zhang, Huang, ECCV 2010: the code of one descriptor (hard assignment), and its pooling,
weighted by the shares of words.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.classic.words import nearest

CONSTANT = 0.1
"""s there, for which we chose this: what a descriptor adds to its word's count, beside its offset."""


def super_vectors(descriptors: Tensor, cells: Tensor, words: Tensor, constant: float = CONSTANT) -> Tensor:
    """(N, P, D), `cells` (C, P; bool), `words` (K, D) -> (N, C, K x (D + 1)).

    For each word: the sum of (`constant`, descriptor - word) over those of the cell's n descriptors that are
    nearest to it, over n and over the square root of their share of the n. A word that is nowhere nearest has
    zeros; so has a cell without descriptors.
    """
    photos, places, size = descriptors.shape
    assigned = nearest(descriptors.reshape(-1, size), words, 1)[:, 0]
    offsets = descriptors.reshape(-1, size) - words.index_select(0, assigned)
    codes = torch.cat([offsets.new_ones(len(offsets), 1), offsets], 1).view(photos, places, size + 1)
    slots = assigned.view(photos, places) + len(words) * torch.arange(photos, device=words.device)[:, None]
    pooled = descriptors.new_zeros(photos, len(cells), len(words), size + 1)
    for number, cell in enumerate(cells):
        here = cell.nonzero()[:, 0]
        sums = codes.new_zeros(photos * len(words), size + 1)
        sums.index_add_(0, slots[:, here].flatten(), codes[:, here].flatten(0, 1))
        counts = sums[:, :1].clone()
        sums[:, 0] *= constant
        weights = (counts * max(1, len(here))).clamp_min(1).rsqrt()
        pooled[:, number] = (sums * weights).view(photos, len(words), size + 1)
    return pooled.flatten(2)
