"""Classifiers by regularized least squares: exact, and tested on photos that were left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from torch import Tensor

from alexnet.classic.least_squares import ROWS_AT_ONCE, LeastSquares, fit_least_squares, products

PHOTOS, FEATURES, CLASSES = 60, 200, 3


@pytest.fixture(scope="module")
def labels() -> Tensor:
    return torch.arange(PHOTOS) % CLASSES


@pytest.fixture(scope="module")
def rows(labels: Tensor) -> Tensor:
    """Noisy rows of length one, whose mean depends on the class."""
    random = torch.Generator().manual_seed(0)
    means = torch.randn(CLASSES, FEATURES, generator=random)
    made = 0.25 * means[labels] + torch.randn(PHOTOS, FEATURES, generator=random)
    return torch.nn.functional.normalize(made, dim=1)


def fitted(rows: Tensor, labels: Tensor) -> LeastSquares:
    return fit_least_squares(products(lambda few: rows[few], len(rows)), labels, CLASSES)


def test_products_of_all_pairs() -> None:
    many = torch.randn(ROWS_AT_ONCE + 7, 5, generator=torch.Generator().manual_seed(1))
    counts: list[int] = []
    found = products(lambda few: many[few], len(many), counts.append)
    torch.testing.assert_close(found, (many @ many.T).double(), atol=1e-5, rtol=1e-5)
    assert sum(counts) == len(many) and len(counts) == 2


def test_scores_are_those_of_ridge_regression(rows: Tensor, labels: Tensor) -> None:
    made = fitted(rows, labels)
    weights, biases = made.classifiers(lambda few: rows[few])
    with_one = np.hstack([rows.numpy(), np.ones((PHOTOS, 1))])
    theirs = RidgeClassifier(alpha=made.penalty, fit_intercept=False).fit(with_one, labels.numpy())
    ours = rows @ weights.T + biases
    np.testing.assert_allclose(ours.numpy(), theirs.decision_function(with_one), atol=1e-4)
    assert weights.dtype == torch.float32 and weights.shape == (CLASSES, FEATURES)


def test_error_is_that_of_photos_left_out_one_by_one(rows: Tensor, labels: Tensor) -> None:
    """Slow twin: one fit without each photo, with the penalty that was chosen."""
    made = fitted(rows, labels)
    with_one = np.hstack([rows.numpy(), np.ones((PHOTOS, 1))])
    wrong = 0
    for left_out in range(PHOTOS):
        kept = np.arange(PHOTOS) != left_out
        model = RidgeClassifier(alpha=made.penalty, fit_intercept=False)
        model.fit(with_one[kept], labels.numpy()[kept])
        wrong += int(model.predict(with_one[[left_out]])[0] != labels[left_out])
    assert made.error == pytest.approx(wrong / PHOTOS)
    assert 0 < made.error < 0.6  # neither perfect nor chance


def test_scores_are_calibrated_on_photos_left_out(rows: Tensor, labels: Tensor) -> None:
    """The mean confidence of probabilities for new photos is about their accuracy."""
    made = fitted(rows, labels)
    weights, biases = made.classifiers(lambda few: rows[few])
    random = torch.Generator().manual_seed(0)
    means = torch.randn(CLASSES, FEATURES, generator=random)
    torch.manual_seed(5)
    truth = torch.arange(3000) % CLASSES
    new = torch.nn.functional.normalize(0.25 * means[truth] + torch.randn(3000, FEATURES), dim=1)
    probabilities = torch.softmax(made.scale * (new @ weights.T + biases), 1)
    confidence, predicted = probabilities.max(1)
    accuracy = float((predicted == truth).double().mean())
    assert float(confidence.mean()) == pytest.approx(accuracy, abs=0.1)


def test_a_class_with_one_photo_and_equal_photos_are_fitted() -> None:
    rows = torch.nn.functional.normalize(torch.ones(5, 4), dim=1)
    made = fit_least_squares(products(lambda few: rows[few], 5), torch.tensor([0, 0, 1, 1, 2]), 3)
    assert bool(made.coefficients.isfinite().all()) and made.scale > 0
