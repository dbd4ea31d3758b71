"""Linear classifiers of feature vectors, solved exactly: regularized least squares on all photos.

For few photos this is better than SGD with early stopping, which has too few updates then and too few photos
to stop by. It needs the products of all pairs of photos, so it is for thousands of photos, not for millions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from alexnet.classic.svm import Read, SoftmaxCalibration

MAX_PHOTOS = 10_000
"""A matrix of all pairs takes 0.8 GB in double precision, and solving needs about five of them."""
ROWS_AT_ONCE = 512
"""Photos whose feature vectors are in memory at once, twice."""
PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-8, 5))
"""Candidates for the penalty, for feature vectors of length one."""


@dataclass(frozen=True)
class LeastSquares:
    """Classifiers of K classes as combinations of the N photos that they were fitted to."""

    coefficients: Tensor
    """(N, K) float64, on the CPU."""
    penalty: float
    scale: float
    """Times the scores gives the logits of calibrated probabilities."""
    left_out: Tensor
    """(N, K) float64: the scores of each photo by the classifiers of all photos of other groups."""

    def classifiers(self, read: Read) -> tuple[Tensor, Tensor]:
        """(K, F) and (K,): weights and biases; `read` reads the feature vectors of these photos."""
        numbers = torch.arange(len(self.coefficients)).split(ROWS_AT_ONCE)
        parts = (
            self.coefficients[few].T.to(rows) @ rows for few, rows in ((few, read(few)) for few in numbers)
        )
        weights = sum(parts, start=torch.zeros(()))
        return weights, self.coefficients.sum(0).to(weights)


def products(read: Read, photos: int, done: Callable[[int], None] = lambda count: None) -> Tensor:
    """(N, N) float64 on the CPU: the scalar products of the feature vectors of all pairs of photos.

    `done(count)` is called after each block of `count` photos.
    """
    found = torch.empty(photos, photos, dtype=torch.float64)
    parts = torch.arange(photos).split(ROWS_AT_ONCE)
    for index, these in enumerate(parts):
        rows = read(these)
        for others in parts[: index + 1]:
            part = (rows @ (rows if others is these else read(others)).T).double().cpu()
            found[these[0] : these[-1] + 1, others[0] : others[-1] + 1] = part
            found[others[0] : others[-1] + 1, these[0] : these[-1] + 1] = part.T
        done(len(these))
    return found


def fit_least_squares(
    products: Tensor,
    labels: Tensor,
    classes: int,
    groups: Tensor | None = None,
    on_penalty: Callable[[], None] = lambda: None,
) -> LeastSquares:
    """Classifiers that predict 1 for photos of their class and -1 for others.

    `products` (N, N) float64, `labels` (N,) int64. The bias is the weight of one more feature, which is 1.
    The penalty is the one with the lowest loss of calibrated probabilities for photos that are predicted by
    the classifiers of all others; these predictions follow from one fit. With `groups` (N,) int64, photos of
    one group do not predict each other. `on_penalty()` is called before each penalty is tried. Source: Rifkin
    and Lippert 2007, Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025.
    """
    targets = 2 * one_hot(labels, classes).double() - 1
    values, vectors = torch.linalg.eigh(products + 1)
    values.clamp_(min=0)
    rotated, squares = vectors.T @ targets, vectors.square()
    several = _groups_of_several(groups)
    best, lowest = None, float("inf")
    for penalty in PENALTIES:
        on_penalty()
        weights = 1 / (values + penalty)
        coefficients = vectors @ (weights[:, None] * rotated)
        residuals = coefficients / (squares @ weights)[:, None]
        for members in several:  # the same with a block of the inverse in place of a number
            rows = vectors[members]
            residuals[members] = torch.linalg.solve((rows * weights) @ rows.T, coefficients[members])
        left_out = targets - residuals
        scale = SoftmaxCalibration().fit(left_out, labels).scale_
        loss = float(cross_entropy(scale * left_out, labels))
        if loss < lowest:
            best, lowest = LeastSquares(coefficients, penalty, scale, left_out), loss
    assert best is not None
    return best


def _groups_of_several(groups: Tensor | None) -> list[Tensor]:
    """The numbers of the photos of each group with two or more."""
    if groups is None:
        return []
    sizes = torch.unique(groups, return_counts=True)[1].tolist()
    return [members for members in groups.argsort(stable=True).split(sizes) if len(members) > 1]
