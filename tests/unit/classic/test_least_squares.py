"""Classifiers by regularized least squares: exact, and tested on photos that were left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from torch import Tensor

from alexnet.classic.least_squares import ROWS_AT_ONCE, LeastSquares, fit_least_squares, products
from alexnet.errors import Stopped

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


def fitted(rows: Tensor, labels: Tensor, groups: Tensor | None = None) -> LeastSquares:
    return fit_least_squares(products(lambda few: rows[few], len(rows)), labels, CLASSES, groups)


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


@pytest.mark.parametrize("size", [1, 4])
def test_each_photo_is_predicted_without_those_of_its_group(rows: Tensor, labels: Tensor, size: int) -> None:
    """Slow twin: one fit without each group of photos, with the penalty that was chosen."""
    numbers = torch.arange(PHOTOS).flip(0) // size % (PHOTOS // size)
    made = fitted(rows, labels, None if size == 1 else numbers)
    with_one = np.hstack([rows.numpy(), np.ones((PHOTOS, 1))])
    expected = np.empty((PHOTOS, CLASSES))
    for group in numbers.unique():
        kept = (numbers != group).numpy()
        model = RidgeClassifier(alpha=made.penalty, fit_intercept=False)
        model.fit(with_one[kept], labels.numpy()[kept])
        expected[~kept] = model.decision_function(with_one[~kept])
    np.testing.assert_allclose(made.left_out.numpy(), expected, atol=1e-4)
    assert 0 < (expected.argmax(1) != labels.numpy()).mean() < 0.6  # neither perfect nor chance


def test_copies_in_one_group_do_not_make_the_probabilities_too_confident(labels: Tensor) -> None:
    """Pairs of copies of noise: predicted by its copy each photo would be right."""
    random = torch.Generator().manual_seed(3)
    half = torch.nn.functional.normalize(torch.randn(PHOTOS // 2, FEATURES, generator=random), dim=1)
    twice, pairs = half.repeat(2, 1), torch.arange(PHOTOS) % (PHOTOS // 2)
    alone, together = fitted(twice, labels), fitted(twice, labels, pairs)
    errors = [float((made.left_out.argmax(1) != labels).double().mean()) for made in (alone, together)]
    assert errors[0] == 0 and errors[1] > 0.4
    assert together.scale * together.left_out.abs().max() < alone.scale * alone.left_out.abs().max()


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


def test_it_can_be_stopped_between_penalties(rows: Tensor, labels: Tensor) -> None:
    calls: list[int] = []

    def on_penalty() -> None:
        calls.append(0)
        if len(calls) == 3:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        fit_least_squares(rows.double() @ rows.double().T, labels, CLASSES, None, on_penalty)
    assert len(calls) == 3
