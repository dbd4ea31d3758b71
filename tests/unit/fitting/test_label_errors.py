"""Photos whose labels are probably wrong."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet.fitting.label_errors import out_of_fold_probabilities, suspicious

APART = [str(number) for number in range(200)]
"""Groups of one photo each."""


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
    probabilities = out_of_fold_probabilities(features, changed, 3, 10.0, 0, APART[:60])
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert set(suspicious(probabilities, changed)[:3]) == set(wrong)
    assert len(suspicious(probabilities, changed)) <= 4
    assert not suspicious(out_of_fold_probabilities(features, labels, 3, 1.0, 0, APART[:60]), labels)


def test_no_photo_is_predicted_by_a_model_that_has_seen_it() -> None:
    """A label that depends on nothing cannot be learned, unless the photo itself is among the others."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(80, 200)).astype(np.float32), np.arange(80) % 2
    predicted = out_of_fold_probabilities(features, labels, 2, 10.0, 0, APART[:80]).argmax(1)
    assert 0.3 < (predicted == labels).mean() < 0.7


def test_no_photo_is_predicted_by_a_model_that_has_seen_its_group() -> None:
    """Pairs of equal photos: each would be predicted by the other one."""
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(40, 200)), 2, axis=0).astype(np.float32)
    labels, pairs = np.repeat(np.arange(40) % 2, 2), [str(number // 2) for number in range(80)]
    alone, together = (
        (out_of_fold_probabilities(features, labels, 2, 10.0, 0, groups).argmax(1) == labels).mean()
        for groups in (APART[:80], pairs)
    )
    assert alone > 0.8 and 0.2 < together < 0.7


def test_a_class_of_one_group_is_not_predicted() -> None:
    features, labels = clusters()
    groups = ["one" if label == 2 else str(number) for number, label in enumerate(labels)]
    found = out_of_fold_probabilities(features, labels, 3, 1.0, 0, groups)
    assert np.isnan(found[labels == 2]).all()
    np.testing.assert_allclose(found[labels < 2].sum(1), 1, atol=1e-6)
    assert np.isnan(out_of_fold_probabilities(features, labels, 3, 1.0, 0, ["all"] * 60)).all()


@pytest.mark.parametrize("counts", [(4, 4), (20, 2), (2, 2, 9)])
def test_few_photos_of_a_class_have_fewer_folds(counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    features = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    found = out_of_fold_probabilities(features, labels, len(counts), 1.0, 0, APART[: len(labels)])
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_the_most_suspicious_come_first() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    rows = [[0.9, 0.1], [0.04, 0.96], [0.01, 0.99], [0.1, 0.9], [0.3, 0.7], [0.98, 0.02]]
    assert suspicious(np.array(rows), labels) == [2, 5, 1]


def test_the_only_photo_of_a_class_is_not_suspicious() -> None:
    """The model that would predict it knows no other photo of its class."""
    features, labels = clusters()
    labels[0] = 3
    found = out_of_fold_probabilities(features, labels, 4, 1.0, 0, APART[:60])
    assert np.isnan(found[0]).all() and suspicious(found, labels) == []


def test_without_a_probable_other_class_a_photo_is_not_suspicious() -> None:
    rows = np.array([[0.02, 0.49, 0.49], [0.02, 0.6, 0.38], [0.06, 0.9, 0.04]])
    assert suspicious(rows, np.array([0, 0, 0])) == [1]
