"""From scores to probabilities: a softmax of scaled scores, the scale found on photos not trained on.

Source: Guo, Pleiss, Sun, Weinberger, ICML 2017 (temperature scaling; the scale is 1 / temperature).
"""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from alexnet.classic.arrays import as_matrix, in_kind

LARGEST = 1e3
"""Scale beyond which it does not matter: scores that are always right would want an infinite one."""


class SoftmaxCalibration(BaseEstimator):
    """Learned: `scale_`, which makes the mean negative log-likelihood of `y` least."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's names
        """From scores (N, K) and the right columns (N,); without a row the scale is 1."""
        scores = as_matrix(X).double()
        labels = torch.as_tensor(y, device=scores.device).long()
        self.scale_ = _best_scale(scores, labels) if len(scores) else 1.0
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """(N, K) probabilities."""
        return in_kind(torch.softmax(self.scale_ * as_matrix(X), 1), X)


def _best_scale(scores: Tensor, labels: Tensor) -> float:
    """The loss is convex in the scale: its logarithm is found by halving an interval."""
    low, high = -math.log(LARGEST), math.log(LARGEST)
    right = scores.gather(1, labels[:, None])[:, 0]
    for _ in range(50):
        middle = (low + high) / 2
        expected = (torch.softmax(math.exp(middle) * scores, 1) * scores).sum(1)
        low, high = (low, middle) if float((expected - right).mean()) > 0 else (middle, high)
    return math.exp((low + high) / 2)
