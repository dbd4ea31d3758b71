"""Locality-constrained linear coding: a descriptor as a weighted mean of its nearest words.

Source: Wang, Yang, Yu, Lv, Huang, Gong, CVPR 2010: the approximated code, on the nearest words alone, in
closed form; a fast form of local coordinate coding (Yu, Zhang, Gong, NIPS 2009).
"""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.classic.sparse_code import CHUNK, SparseCodes
from alexnet.classic.words import nearest

NEIGHBOURS = 5
"""As programs that use these codes have it; the authors' own was not seen."""
REGULARISATION = 1e-4
"""Share of the covariance's trace added to its diagonal (beta in such programs)."""


def locality_constrained_codes(
    descriptors: Tensor, words: Tensor, neighbours: int = NEIGHBOURS
) -> SparseCodes:
    """(M, D) by `words` (K, D) -> codes on the `neighbours` nearest words, which sum to 1.

    Each minimises |descriptor - code x words|^2, lightly regularised. Fewer words than neighbours: all are
    used.
    """
    neighbours = min(neighbours, len(words))
    parts = [_coded(chunk, words, neighbours) for chunk in descriptors.split(CHUNK)]
    return SparseCodes(torch.cat([p.atoms for p in parts]), torch.cat([p.values for p in parts]))


def _coded(descriptors: Tensor, words: Tensor, neighbours: int) -> SparseCodes:
    near = nearest(descriptors, words, neighbours)
    offsets = words.index_select(0, near.flatten()).unflatten(0, near.shape) - descriptors[:, None]
    covariance = offsets @ offsets.transpose(1, 2)
    trace = covariance.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    # Where all the nearest words are the descriptor itself there is nothing to choose: equal shares.
    ridge = torch.where(trace > 0, REGULARISATION * trace, 1)
    covariance.diagonal(dim1=1, dim2=2).add_(ridge)
    weights = torch.linalg.solve_ex(covariance, torch.ones_like(offsets[:, :, :1]))[0][:, :, 0]
    return SparseCodes(near, weights / weights.sum(1, keepdim=True))
