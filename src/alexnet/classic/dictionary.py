"""Online dictionary learning: atoms of which few, weighted, add up to any descriptor.

Source: Mairal, Bach, Ponce, Sapiro, ICML 2009: algorithms 1 and 2, with mini-batches, past statistics that
fade, and atoms that nobody uses replaced; at length JMLR 2010.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator, in_kind
from alexnet.classic.sparse_code import lasso
from alexnet.classic.words import draw, unit

_UNUSED = 1e-6
"""Share of the mean use below which an atom is drawn anew."""


class OnlineDictionary(TransformerMixin, BaseEstimator):
    """`n_components` atoms, of length at most one, least in |x - code x atoms|^2 / 2 + `alpha` x |code|_1.

    Names are those of `sklearn.decomposition.MiniBatchDictionaryLearning`; `tol` is the duality gap at which
    a code is done, as a share of |x|^2. `fit` takes (N, D) descriptors `max_iter` times, `partial_fit` the
    next chunk of a stream: memory does not grow with their number. Learned: `components_` (K, D), a tensor on
    the device of what it was given, and `batches_`, the number of mini-batches.
    """

    def __init__(
        self,
        n_components: int = 1024,
        *,
        alpha: float = 0.15,
        batch_size: int = 1024,
        max_iter: int = 1,
        tol: float = 1e-3,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """From descriptors (N, D), in random order; ValueError where they are fewer than the atoms."""
        vectors = as_matrix(X)
        self._begin(vectors)
        for _ in range(self.max_iter):
            order = torch.randperm(len(vectors), generator=self._generator).to(vectors.device)
            self._learn(vectors[rows] for rows in order.split(self.batch_size))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Goes on with the next descriptors (N, D); the first must be at least as many as the atoms."""
        vectors = as_matrix(X)
        if not hasattr(self, "components_"):
            self._begin(vectors)
        self._learn(vectors.split(self.batch_size))
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """(N, K) codes of (N, D) by the lasso."""
        vectors = as_matrix(X)
        codes = lasso(vectors, self.components_.to(vectors), self.alpha, self.tol)
        return in_kind(codes.dense(len(self.components_)), X)

    def _begin(self, vectors: Tensor) -> None:
        """The first atoms are descriptors drawn at random; nothing is known of their use yet."""
        if len(vectors) < self.n_components:
            raise ValueError(f"{len(vectors)} descriptors are fewer than the {self.n_components} atoms")
        self._generator = generator(self.random_state)
        self.components_ = unit(draw(vectors, self.n_components, self._generator))
        self._uses = vectors.new_zeros(self.n_components, self.n_components)
        self._sums = torch.zeros_like(self.components_)
        self.batches_ = 0

    def _learn(self, batches: Iterable[Tensor]) -> None:
        for batch in batches:
            codes = lasso(batch, self.components_, self.alpha, self.tol).dense(self.n_components)
            self.batches_ += 1
            faded = self._faded(len(batch))
            self._uses.mul_(faded).addmm_(codes.T, codes)
            self._sums.mul_(faded).addmm_(codes.T, batch)
            self._update_atoms(batch)

    def _faded(self, count: int) -> float:
        """What the past still counts for: the first batches were coded by a poor dictionary."""
        size, batches = count, self.batches_
        past = batches * size if batches < size else size**2 + batches - size
        return (past + 1 - size) / (past + 1)

    def _update_atoms(self, batch: Tensor) -> None:
        """One pass of block coordinate descent over the atoms."""
        uses = self._uses.diagonal()
        unused = uses <= _UNUSED * uses.mean()
        for atom in (~unused).nonzero()[:, 0].tolist():
            slope = self._sums[atom] - self._uses[atom] @ self.components_
            moved = self.components_[atom] + slope / self._uses[atom, atom]
            self.components_[atom] = moved / moved.norm().clamp_min(1)
        missing = int(unused.sum())
        if missing and missing <= len(batch):
            self.components_[unused] = unit(draw(batch, missing, self._generator))
