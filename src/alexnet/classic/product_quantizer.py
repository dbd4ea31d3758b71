"""Product quantisation: a vector as one byte for every few numbers, each byte the nearest of 256 centres.

Source: Jegou, Douze, Schmid, PAMI 2011; of Fisher vectors, 8 numbers a byte: Sanchez and Perronnin, CVPR
2011.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator, in_kind

GROUPS_AT_ONCE = 256
"""Sub-vectors whose distances are in memory at once."""


class ProductQuantizer(TransformerMixin, BaseEstimator):
    """Learned: `centres_` (F / group, 2 ** bits, group), by k-means in each group of numbers by itself.

    Where there are fewer rows than centres every row is a centre. The last group is filled up with zeros.
    """

    def __init__(self, group: int = 8, *, bits: int = 8, max_iter: int = 10, random_state: int = 0):
        self.group = group
        self.bits = bits
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """From rows (N, F); ValueError where more than 8 bits are wanted, or there are no rows."""
        rows = as_matrix(X)
        if not 1 <= self.bits <= 8 or len(rows) == 0:
            raise ValueError(f"bits={self.bits} must be 1..8, and {len(rows)} rows at least one")
        self.n_features_in_ = rows.shape[1]
        drawn = torch.randperm(len(rows), generator=generator(self.random_state))[: 2**self.bits]
        parts = self._parts(rows)
        chunks = zip(parts.split(GROUPS_AT_ONCE), parts[:, drawn].split(GROUPS_AT_ONCE), strict=True)
        self.centres_ = torch.cat([_k_means(part, first.clone(), self.max_iter) for part, first in chunks])
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """(N, F / group) uint8 codes of (N, F)."""
        pairs = zip(
            self._parts(as_matrix(X)).split(GROUPS_AT_ONCE), self.centres_.split(GROUPS_AT_ONCE), strict=True
        )
        return in_kind(torch.cat([_nearest(part, centres) for part, centres in pairs]).T.to(torch.uint8), X)

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """(N, F) of codes (N, F / group): the centres they name."""
        codes = torch.as_tensor(X, device=self.centres_.device)
        places = codes.long() + self.centres_.shape[1] * torch.arange(codes.shape[1], device=codes.device)
        rows = self.centres_.flatten(0, 1)[places].flatten(1)
        return in_kind(rows[:, : self.n_features_in_], X)

    def _parts(self, rows: Tensor) -> Tensor:
        """(F / group, N, group)."""
        filled = torch.nn.functional.pad(rows, (0, -rows.shape[1] % self.group))
        return filled.view(len(rows), -1, self.group).transpose(0, 1)


def _nearest(parts: Tensor, centres: Tensor) -> Tensor:
    """(G, N) numbers of the nearest of `centres` (G, C, g) for `parts` (G, N, g)."""
    half_squares = centres.square().sum(2)[:, None] / 2
    return torch.baddbmm(half_squares, parts, centres.transpose(1, 2), alpha=-1).argmin(2)


def _k_means(parts: Tensor, centres: Tensor, rounds: int) -> Tensor:
    """Lloyd's rounds in all groups at once; a centre that nothing is nearest to stays where it is."""
    for _ in range(rounds):
        numbers = _nearest(parts, centres)[:, :, None]
        sums = torch.zeros_like(centres).scatter_add_(1, numbers.expand_as(parts), parts)
        counts = torch.zeros_like(centres[:, :, :1]).scatter_add_(
            1, numbers, torch.ones_like(parts[:, :, :1])
        )
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres
