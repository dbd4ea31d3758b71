"""Linear classifiers against liblinear, early stopping, calibration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.svm import LinearSVC

from alexnet.classic.svm import EarlyStopping, HingeSgd, SoftmaxCalibration, random_split, scores


def photos(number: int, seed: int = 0, size: int = 40, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length one of overlapping classes."""
    centers = np.random.default_rng(99).normal(0, 1, (classes, size))
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, number)
    rows = centers[labels] + generator.normal(0, 2.0, (number, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), labels


def objective(weights: np.ndarray, biases: np.ndarray, alpha: float) -> float:
    rows, labels = photos(600)
    signs = np.where(labels[:, None] == np.arange(4), 1, -1)
    hinge = np.maximum(0, 1 - signs * (rows @ weights.T + biases))
    return float(alpha / 2 * (weights**2).sum() + hinge.mean(0).sum())


def trained(
    rows: np.ndarray, labels: np.ndarray, alpha: float, passes: int, patience: int, share: float
) -> EarlyStopping:
    """Classifiers trained to the end on float32 rows."""
    numbers = torch.from_numpy(labels)
    train, held = random_split(numbers, share, seed=0)
    sgd = HingeSgd(4, 40, learning_rate=4.0, weight_decay=alpha, batch_size=32)
    stopping = EarlyStopping(sgd, train, held, max_passes=passes, patience=patience, seed=0)
    for _ in stopping.run(torch.from_numpy(rows).__getitem__, numbers):
        pass
    return stopping


def test_as_liblinear() -> None:
    """The regularized hinge loss is within 2 % of liblinear's, and so is the error on new photos."""
    rows, labels = photos(600)
    new, right = photos(2000, seed=1)
    alpha = 1e-3
    theirs = LinearSVC(loss="hinge", C=1 / (alpha * 600), intercept_scaling=10, max_iter=100_000, tol=1e-5)
    theirs.fit(rows, labels)
    mine = trained(rows, labels, alpha, passes=60, patience=60, share=0.0).best
    best = objective(theirs.coef_, theirs.intercept_, alpha)
    sgd = HingeSgd(4, 40, learning_rate=4.0, weight_decay=alpha, batch_size=32)
    order = torch.arange(600)
    for _ in range(200):
        sgd.train_epoch(lambda few: torch.from_numpy(rows)[few], order, torch.from_numpy(labels))
    assert objective(*(each.numpy() for each in sgd.classifiers()), alpha) < 1.02 * best
    predicted = scores(mine, torch.from_numpy(new).__getitem__, torch.arange(2000)).argmax(1).numpy()
    assert (predicted == right).mean() > (theirs.predict(new) == right).mean() - 0.01


def test_weights_are_scale_times_direction_at_any_rate_of_decay() -> None:
    rows, labels = (torch.from_numpy(each) for each in photos(200))
    for decay in (0.0, 0.02, 0.24):
        sgd, weights, biases = (
            HingeSgd(4, 40, learning_rate=4.0, weight_decay=decay, batch_size=10),
            torch.zeros(4, 40),
            torch.zeros(4),
        )
        for step in range(60):
            few = torch.arange(200)[step % 20 * 10 :][:10]
            rate = 4.0 / (1 + 4.0 * decay * step)
            signs = torch.where(labels[few, None] == torch.arange(4), 1.0, -1.0)
            pull = signs * (signs * (rows[few] @ weights.T + biases) < 1)
            weights = (1 - rate * decay) * weights + rate / 10 * pull.T @ rows[few]
            biases = biases + rate / 10 * pull.sum(0)
        for _ in range(3):
            sgd.train_epoch(rows.__getitem__, torch.arange(200), labels)
        assert torch.allclose(sgd.weights, weights, atol=1e-4)
        assert torch.allclose(sgd.biases, biases, atol=1e-4)


def test_it_stops_when_no_error_improves() -> None:
    rows, labels = photos(300)
    assert 3 < trained(rows, labels, 1e-3, passes=500, patience=3, share=0.1).sgd.passes < 100


def test_photos_held_out_are_a_share_of_each_class() -> None:
    labels = torch.tensor([0] * 20 + [1] * 10 + [2] * 2 + [3])
    kept, held = random_split(labels, 0.2, seed=0)
    assert torch.cat([kept, held]).sort().values.tolist() == list(range(33))
    assert torch.bincount(labels[held], minlength=4).tolist() == [4, 2, 1, 0]
    assert not torch.equal(held, random_split(labels, 0.2, seed=1)[1])
    assert len(random_split(labels, 0.0, seed=0)[1]) == 0


def test_the_scale_makes_probabilities_right() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5000, 4, generator=generator)
    labels = torch.multinomial(torch.softmax(2.5 * scores, 1), 1, generator=generator)[:, 0]
    found = clone(SoftmaxCalibration()).fit(scores, labels)
    assert found.scale_ == pytest.approx(2.5, rel=0.05)
    losses = [
        torch.nn.functional.cross_entropy(scale * scores, labels)
        for scale in (found.scale_, 0.99 * found.scale_, 1.01 * found.scale_)
    ]
    assert losses[0] == min(losses)
    assert SoftmaxCalibration().fit(scores[:0], labels[:0]).scale_ == 1.0
