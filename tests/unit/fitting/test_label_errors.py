"""Photos whose labels are probably wrong."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.fitting.label_errors import out_of_fold_probabilities, suspicious


def clusters(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """60 points in three clusters that do not overlap, and the clusters' numbers."""
    labels = np.repeat(np.arange(3), 20)
    centers = 6 * np.eye(3, 8)
    features = centers[labels] + np.random.default_rng(seed).normal(size=(60, 8))
    return features.astype(np.float32), labels


def test_wrong_labels_are_found_first() -> None:
    features, labels = clusters()
    wrong = {5: 1, 31: 2, 59: 0}
    changed = labels.copy()
    changed[list(wrong)] = list(wrong.values())
    probabilities = out_of_fold_probabilities(features, changed, 3, 10.0, seed=0)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert set(suspicious(probabilities, changed)[:3]) == set(wrong)
    assert len(suspicious(probabilities, changed)) <= 4
    assert not suspicious(out_of_fold_probabilities(features, labels, 3, 1.0, seed=0), labels)


def test_no_photo_is_predicted_by_a_model_that_has_seen_it() -> None:
    """A label that depends on nothing cannot be learned, unless the photo itself is among the others."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(80, 200)).astype(np.float32), np.arange(80) % 2
    predicted = out_of_fold_probabilities(features, labels, 2, 10.0, seed=0).argmax(1)
    assert 0.3 < (predicted == labels).mean() < 0.7


@pytest.mark.parametrize("counts", [(4, 4), (20, 2), (2, 2, 9)])
def test_few_photos_of_a_class_have_fewer_folds(counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    found = out_of_fold_probabilities(features, labels, len(counts), 1.0, seed=0)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_the_most_suspicious_come_first() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    rows = [[0.9, 0.1], [0.04, 0.96], [0.01, 0.99], [0.1, 0.9], [0.3, 0.7], [0.98, 0.02]]
    assert suspicious(np.array(rows), labels) == [2, 5, 1]


def test_the_only_photo_of_a_class_is_not_suspicious() -> None:
    """The model that predicts it knows no other photo of its class."""
    rows = np.array([[0.01, 0.99, 0.0], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.1, 0.9, 0.0]])
    assert suspicious(rows, np.array([2, 0, 1, 1])) == []
    assert suspicious(rows, np.array([0, 0, 1, 1])) == [0]


def test_without_a_probable_other_class_a_photo_is_not_suspicious() -> None:
    rows = np.array([[0.02, 0.49, 0.49], [0.02, 0.6, 0.38], [0.06, 0.9, 0.04]])
    assert suspicious(rows, np.array([0, 0, 0])) == [1]
