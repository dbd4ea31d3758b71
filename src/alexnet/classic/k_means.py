"""k-means: centres that stand for the descriptors nearest to them.

Source: Lloyd 1982. The centres of super-vector coding (Zhou et al. 2010) and the first codebook of
locality-constrained coding (Wang et al. 2010).
"""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator, in_kind
from alexnet.classic.words import draw, nearest

_CHUNK = 8192


class KMeans(BaseEstimator):
    """`n_clusters` means of groups of rows, after at most `max_iter` rounds from rows drawn at random.

    It stops when the distance falls by less than `tol` of it. A mean that no row is nearest to is put on one
    drawn at random. Learned: `cluster_centers_` (K, D), a tensor on the device of what it was given, and
    `inertia_`, the mean squared distance to the nearest before the last round.
    """

    def __init__(
        self, n_clusters: int = 1024, *, max_iter: int = 20, tol: float = 1e-3, random_state: int = 0
    ):
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """From rows (N, D); ValueError where they are fewer than the means."""
        vectors = as_matrix(X)
        if len(vectors) < self.n_clusters:
            raise ValueError(f"{len(vectors)} descriptors are fewer than the {self.n_clusters} means")
        randomness = generator(self.random_state)
        self.cluster_centers_ = draw(vectors, self.n_clusters, randomness)
        self.inertia_ = torch.inf
        for _ in range(self.max_iter):
            before = self.inertia_
            self._round(vectors, randomness)
            if self.inertia_ >= before * (1 - self.tol):
                break
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """(N,) numbers of the nearest means of rows (N, D)."""
        return in_kind(self._assigned(as_matrix(X)), X)

    def _assigned(self, vectors: Tensor) -> Tensor:
        centres = self.cluster_centers_.to(vectors)
        parts = [nearest(chunk, centres, 1)[:, 0] for chunk in vectors.split(_CHUNK)]
        return torch.cat(parts) if parts else vectors.new_zeros(0, dtype=torch.int64)

    def _round(self, vectors: Tensor, randomness: torch.Generator) -> None:
        groups = self._assigned(vectors)
        self.inertia_ = float((vectors - self.cluster_centers_[groups]).square().sum(1).mean())
        sums = torch.zeros_like(self.cluster_centers_).index_add_(0, groups, vectors)
        counts = torch.bincount(groups, minlength=self.n_clusters)
        self.cluster_centers_ = sums / counts[:, None].clamp_min(1)
        empty = counts == 0
        if bool(empty.any()):
            self.cluster_centers_[empty] = draw(vectors, int(empty.sum()), randomness)
