"""Principal components, from a whole sample or from chunks of a stream, with bounded memory."""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from alexnet.classic.arrays import as_matrix, in_kind

SMALLEST = 1e-7
"""Of the largest variance: directions of less are rounding errors, and are not blown up by whitening."""


class Pca(TransformerMixin, BaseEstimator):
    """The `n_components` directions of largest variance, as `sklearn.decomposition.PCA` has them.

    With `whiten` each has the variance 1 afterwards. Learned: `mean_` (D,), `components_` (n, D; rows of
    length one), `explained_variance_` (n,), all float64 tensors. The sign of a component is such that its
    largest number is positive.
    """

    def __init__(self, n_components: int = 64, *, whiten: bool = False):
        self.n_components = n_components
        self.whiten = whiten

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """From one sample (N, D); ValueError where it has fewer columns than components, or no row."""
        self.n_samples_seen_ = 0
        return self.partial_fit(X)

    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """From one more chunk (N, D) of a stream: only sums are kept."""
        chunk = as_matrix(X).double()
        if len(chunk) == 0:
            raise ValueError("there are no rows")
        if getattr(self, "n_samples_seen_", 0) == 0:
            self.n_samples_seen_, self.mean_ = 0, chunk.new_zeros(chunk.shape[1])
            self._scatter = chunk.new_zeros(2 * chunk.shape[1:])
        if self.n_components > chunk.shape[1]:
            raise ValueError(f"{self.n_components} components of descriptors with {chunk.shape[1]} numbers")
        before, self.n_samples_seen_ = self.n_samples_seen_, self.n_samples_seen_ + len(chunk)
        mean = chunk.mean(0)
        apart = mean - self.mean_
        self._scatter += (chunk - mean).T @ (chunk - mean)
        self._scatter += torch.outer(apart, apart) * (before * len(chunk) / self.n_samples_seen_)
        self.mean_ = self.mean_ + apart * (len(chunk) / self.n_samples_seen_)
        return self._finish()

    def transform(self, X: Any) -> Any:  # noqa: N803
        """(N, n_components) of (N, D)."""
        rows = as_matrix(X)
        weights, mean = self.projection()
        return in_kind((rows - mean.to(rows)) @ weights.to(rows).T, X)

    def projection(self) -> tuple[Tensor, Tensor]:
        """(n, D) and (D,): rows and mean such that (x - mean) @ rows.T is what `transform` gives."""
        if not self.whiten:
            return self.components_, self.mean_
        smallest = SMALLEST * self.explained_variance_[0]
        scale = torch.where(self.explained_variance_ > smallest, self.explained_variance_, torch.inf).rsqrt()
        return self.components_ * scale[:, None], self.mean_

    def _finish(self) -> Self:
        variances, vectors = torch.linalg.eigh(self._scatter / max(1, self.n_samples_seen_ - 1))
        self.explained_variance_ = variances.flip(0)[: self.n_components].clamp_min(0)
        rows = vectors.T.flip(0)[: self.n_components]
        largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
        self.components_ = rows * largest.sign()
        return self
