"""Mixtures of Gaussians with diagonal covariances, fitted by expectation and maximisation on a sample."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator, in_kind

CHUNK = 8192
"""Rows whose posteriors are in memory at once."""


class DiagonalMixture(BaseEstimator):
    """As `sklearn.mixture.GaussianMixture(covariance_type="diag")`, with its names; on the data's device.

    Begins at rows drawn at random (or at `means_init`, (K, D)), each with the deviations of all rows.
    `reg_covar` is added to variances; `tol` is the least gain of the mean log-likelihood that counts as one.
    Memory beside the sample does not depend on its size. Learned: `weights_` (K,), `means_` (K, D),
    `covariances_` (K, D), `lower_bound_`, `n_iter_`, `converged_`.
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

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """From a sample (N, D); ValueError where N is less than the number of components."""
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
            if abs(self.lower_bound_ - before) < self.tol:
                self.converged_ = True
                break
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """(N, K) posteriors of the components."""
        log_joint = self._log_joint(as_matrix(X))
        return in_kind(torch.softmax(log_joint, 1), X)

    def score_samples(self, X: Any) -> Any:  # noqa: N803
        """(N,) log-likelihoods."""
        return in_kind(self._log_joint(as_matrix(X)).logsumexp(1), X)

    def _first_means(self, rows: Tensor) -> Tensor:
        if self.means_init is not None:
            return as_matrix(self.means_init).to(rows).clone()
        drawn = torch.randperm(len(rows), generator=generator(self.random_state))[: self.n_components]
        return rows[drawn.to(rows.device)].clone()

    def _log_joint(self, rows: Tensor) -> Tensor:
        weights, constants = linear_form(self.weights_, self.means_, self.covariances_)
        return torch.addmm(constants.to(rows), torch.cat([rows, rows * rows], 1), weights.to(rows))

    def _step(self, rows: Tensor) -> float:
        """One expectation and maximisation; returns the mean log-likelihood before it."""
        size, total, likelihood = rows.shape[1], len(rows), 0.0
        sums = rows.new_zeros(self.n_components, 2 * size + 1, dtype=torch.float64)
        for chunk in rows.split(CHUNK):
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
    """(2 * D, K) and (K,) such that [x, x^2] @ the first + the second are the log of weight times density."""
    weights, means, variances = (each.double() for each in (weights, means, variances))
    precisions = 1 / variances
    linear = torch.cat([means * precisions, -0.5 * precisions], 1).T
    constants = torch.log(weights.clamp_min(1e-300)) - 0.5 * (
        means.shape[1] * math.log(math.tau) + variances.log().sum(1) + (means * means * precisions).sum(1)
    )
    return linear, constants
