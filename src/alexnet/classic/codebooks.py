"""Codebooks, learned from a sample of descriptors: k-means, Gaussian mixture, sparse-coding dictionary.

Estimators with scikit-learn's names. They are our own because they run on a GPU and need little memory for
large samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator, in_kind, random_rows
from alexnet.classic.sparse_coding import lasso

OnRound = Callable[[int], None]
"""Called after each round of learning with its number, from 1; what it raises ends the learning."""
VECTORS_AT_ONCE = 8192
"""Rows whose distances or posteriors are in memory at once."""


def ignore_round(number: int) -> None:
    """An `OnRound` that does nothing."""


class KMeans(BaseEstimator):
    """Lloyd's k-means from `n_clusters` random rows, at most `max_iter` rounds, on the device of the rows.

    It stops when the relative decrease of the mean squared distance is below `tol`. An empty cluster is moved
    to a random row. Learned: `cluster_centers_` (K, D), a tensor, and `inertia_`, the mean squared distance
    to the nearest center before the last round. `sklearn.cluster.KMeans` runs on a CPU only.
    """

    def __init__(
        self, n_clusters: int = 1024, *, max_iter: int = 20, tol: float = 1e-3, random_state: int = 0
    ):
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, on_round: OnRound = ignore_round) -> Self:  # noqa: N803 - scikit-learn's name
        """Fits rows (N, D); ValueError if they are fewer than the clusters."""
        vectors = as_matrix(X)
        if len(vectors) < self.n_clusters:
            raise ValueError(f"{len(vectors)} descriptors are fewer than the {self.n_clusters} means")
        randomness = generator(self.random_state)
        self.cluster_centers_ = draw(vectors, self.n_clusters, randomness)
        self.inertia_ = torch.inf
        for number in range(1, self.max_iter + 1):
            before = self.inertia_
            self._round(vectors, randomness)
            on_round(number)
            if self.inertia_ >= before * (1 - self.tol):
                break
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """(N,) the number of the nearest center of each row (N, D)."""
        return in_kind(self._assigned(as_matrix(X)), X)

    def _assigned(self, vectors: Tensor) -> Tensor:
        centers = self.cluster_centers_.to(vectors)
        parts = [nearest(chunk, centers, 1)[:, 0] for chunk in vectors.split(VECTORS_AT_ONCE)]
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


class DiagonalMixture(BaseEstimator):
    """`sklearn.mixture.GaussianMixture(covariance_type="diag")` on the device of the rows, with its names.

    Expectation maximization from random rows (or from `means_init`, (K, D)), each with the variances of all
    rows. `reg_covar` is added to variances; it stops when the mean log-likelihood improves by less than
    `tol`. The memory that it needs in addition to the sample does not depend on the size of the sample.
    Learned: `weights_` (K,), `means_` (K, D), `covariances_` (K, D), `lower_bound_`, `n_iter_`, `converged_`.
    """

    def __init__(
        self,
        n_components: int = 256,
        *,
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 30,
        means_init: Any = None,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.means_init = means_init
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, on_round: OnRound = ignore_round) -> Self:  # noqa: N803 - scikit-learn's name
        """Fits a sample (N, D); ValueError if N is less than the number of components."""
        rows = as_matrix(X)
        if len(rows) < self.n_components:
            raise ValueError(f"{len(rows)} descriptors are fewer than the {self.n_components} components")
        self.means_ = self._first_means(rows)
        self.covariances_ = (rows.var(0, correction=0) + self.reg_covar).repeat(self.n_components, 1)
        self.weights_ = rows.new_full((self.n_components,), 1 / self.n_components)
        self.converged_, self.lower_bound_ = False, -math.inf
        for number in range(1, self.max_iter + 1):
            self.n_iter_ = number
            before, self.lower_bound_ = self.lower_bound_, self._step(rows)
            on_round(number)
            if abs(self.lower_bound_ - before) < self.tol:
                self.converged_ = True
                break
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """(N, K) posteriors of the components."""
        log_joint = self._log_joint(as_matrix(X))
        return in_kind(torch.softmax(log_joint, 1), X)

    def _first_means(self, rows: Tensor) -> Tensor:
        if self.means_init is not None:
            return as_matrix(self.means_init).to(rows).clone()
        return rows[random_rows(rows, self.n_components, self.random_state)].clone()

    def _log_joint(self, rows: Tensor) -> Tensor:
        weights, constants = linear_form(self.weights_, self.means_, self.covariances_)
        return torch.addmm(constants.to(rows), torch.cat([rows, rows * rows], 1), weights.to(rows))

    def _step(self, rows: Tensor) -> float:
        """One expectation and maximization; returns the mean log-likelihood before it."""
        size, total, likelihood = rows.shape[1], len(rows), 0.0
        sums = rows.new_zeros(self.n_components, 2 * size + 1, dtype=torch.float64)
        for chunk in rows.split(VECTORS_AT_ONCE):
            log_joint = self._log_joint(chunk)
            evidence = log_joint.logsumexp(1, keepdim=True)
            likelihood += float(evidence.double().sum())
            powers = torch.cat([chunk, chunk * chunk, torch.ones_like(chunk[:, :1])], 1)
            sums += (log_joint.sub_(evidence).exp_().T @ powers).double()
        counts = sums[:, -1:] + 10 * torch.finfo(rows.dtype).eps
        means = sums[:, :size] / counts
        variances = (sums[:, size:-1] / counts - means * means).clamp_min(0) + self.reg_covar
        self.means_, self.covariances_ = means.to(rows.dtype), variances.to(rows.dtype)
        self.weights_ = (counts[:, 0] / counts.sum()).to(rows.dtype)
        return likelihood / total


def linear_form(weights: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """(2 * D, K) and (K,): [x, x^2] @ the first + the second is log(weight * density) of each component."""
    weights, means, variances = (each.double() for each in (weights, means, variances))
    precisions = 1 / variances
    linear = torch.cat([means * precisions, -0.5 * precisions], 1).T
    constants = torch.log(weights.clamp_min(1e-300)) - 0.5 * (
        means.shape[1] * math.log(math.tau) + variances.log().sum(1) + (means * means * precisions).sum(1)
    )
    return linear, constants


_UNUSED = 1e-6
"""An atom whose use is below this fraction of the mean use is replaced."""


class OnlineDictionary(BaseEstimator):
    """`n_components` atoms of length at most 1 that minimize |x - code x atoms|^2 / 2 + `alpha` x |code|_1.

    Online dictionary learning in mini-batches, with the names of
    `sklearn.decomposition.MiniBatchDictionaryLearning`, on the device of the rows. `tol` is the duality gap
    at which a code is finished, as a fraction of |x|^2. Learned: `components_` (K, D), a tensor, and
    `batches_`, the number of mini-batches. Source: Mairal, Bach, Ponce, Sapiro, ICML 2009, algorithms 1 and
    2.
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

    def fit(self, X: Any, y: Any = None, *, on_round: OnRound = ignore_round) -> Self:  # noqa: N803 - scikit-learn's name
        """Fits descriptors (N, D) in random order; ValueError if they are fewer than the atoms.

        A round is a mini-batch.
        """
        vectors = as_matrix(X)
        self._begin(vectors)
        for _ in range(self.max_iter):
            order = torch.randperm(len(vectors), generator=self._generator).to(vectors.device)
            self._learn((vectors[rows] for rows in order.split(self.batch_size)), on_round)
        return self

    def _begin(self, vectors: Tensor) -> None:
        """The first atoms are random descriptors."""
        if len(vectors) < self.n_components:
            raise ValueError(f"{len(vectors)} descriptors are fewer than the {self.n_components} atoms")
        self._generator = generator(self.random_state)
        self.components_ = unit(draw(vectors, self.n_components, self._generator))
        self._uses = vectors.new_zeros(self.n_components, self.n_components)
        self._sums = torch.zeros_like(self.components_)
        self.batches_ = 0

    def _learn(self, batches: Iterable[Tensor], on_round: OnRound = ignore_round) -> None:
        for batch in batches:
            codes = lasso(batch, self.components_, self.alpha, self.tol).dense(self.n_components)
            self.batches_ += 1
            faded = self._faded(len(batch))
            self._uses.mul_(faded).addmm_(codes.T, codes)
            self._sums.mul_(faded).addmm_(codes.T, batch)
            self._update_atoms(batch)
            on_round(self.batches_)

    def _faded(self, count: int) -> float:
        """The weight of past batches, which were coded with an earlier dictionary (Mairal et al., section
        3.4).
        """
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


def draw(vectors: Tensor, count: int, randomness: torch.Generator) -> Tensor:
    """(count, D) random rows without replacement; rows of zeros only where there are too few others."""
    order = torch.randperm(len(vectors), generator=randomness).to(vectors.device)
    empty = (vectors[order] == 0).all(1)
    return vectors[torch.cat([order[~empty], order[empty]])[:count]].clone()


def unit(vectors: Tensor) -> Tensor:
    """Rows normalized to length one; rows of zeros are unchanged."""
    lengths = vectors.norm(dim=-1, keepdim=True)
    return vectors / torch.where(lengths > 0, lengths, 1)


def nearest(vectors: Tensor, words: Tensor, count: int) -> Tensor:
    """(N, count) numbers of the `words` (K, D) nearest to each vector (N, D), nearest first."""
    # Minus half the squared distance, without the term that is the same for all words.
    closeness = torch.addmm(-words.square().sum(1) / 2, vectors, words.T)
    return closeness.argmax(1, keepdim=True) if count == 1 else closeness.topk(count, 1).indices
