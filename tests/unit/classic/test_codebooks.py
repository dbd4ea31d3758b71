"""Dictionaries and k-means: against scikit-learn, by its estimators' contract, and where data is scarce."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans as TheirKMeans
from sklearn.decomposition import MiniBatchDictionaryLearning

from alexnet.classic.codebooks import KMeans, OnlineDictionary
from alexnet.classic.sparse_coding import lasso
from tests.reference import codes as slow

PENALTY = 0.1
LEARNED = {OnlineDictionary: "components_", KMeans: "cluster_centers_"}


def sparse_signals(count: int, seed: int = 0) -> torch.Tensor:
    """(count, 16) unit sums of 3 of 40 hidden atoms, with some noise."""
    randomness = torch.Generator().manual_seed(seed)
    hidden = torch.randn(40, 16, generator=torch.Generator().manual_seed(99))
    atoms = torch.rand(count, 40, generator=randomness).topk(3, 1).indices
    weights = torch.randn(count, 3, 1, generator=randomness)
    signals = (hidden[atoms] * weights).sum(1) + 0.05 * torch.randn(count, 16, generator=randomness)
    return signals / signals.norm(dim=1, keepdim=True)


def objective(signals: torch.Tensor, atoms: torch.Tensor) -> float:
    codes = lasso(signals, atoms, PENALTY, 1e-5).dense(len(atoms))
    return float(((signals - codes @ atoms).square().sum(1) / 2 + PENALTY * codes.abs().sum(1)).mean())


def test_a_dictionary_is_as_good_as_scikit_learns() -> None:
    signals, unseen = sparse_signals(1000), sparse_signals(300, seed=1)
    ours = OnlineDictionary(40, alpha=PENALTY, batch_size=100, max_iter=3).fit(signals)
    theirs = MiniBatchDictionaryLearning(40, alpha=PENALTY, batch_size=100, max_iter=3, random_state=0).fit(
        signals.numpy()
    )
    theirs_atoms = torch.from_numpy(theirs.components_).float()
    random = signals[:40]
    assert objective(unseen, ours.components_) <= 1.02 * objective(unseen, theirs_atoms)
    assert objective(unseen, ours.components_) < 0.8 * objective(unseen, random)
    assert (ours.components_.norm(dim=1) <= 1 + 1e-5).all()


def test_one_batch_is_algorithm_2() -> None:
    signals = sparse_signals(400).double()
    begun = OnlineDictionary(30, alpha=PENALTY, batch_size=400, tol=1e-9)
    begun._begin(signals)
    first = begun.components_.clone()
    begun._learn([signals])
    codes = lasso(signals, first, PENALTY, 1e-9).dense(30)
    expected = slow.dictionary_step(first.numpy(), (codes.T @ codes).numpy(), (codes.T @ signals).numpy())
    np.testing.assert_allclose(begun.components_.numpy(), expected, atol=1e-5)


def test_the_past_fades_as_published() -> None:
    dictionary = OnlineDictionary(2)
    found = []
    for dictionary.batches_ in (1, 2, 3, 4, 5):
        found.append(dictionary._faded(4))
    theta = [4, 8, 12, 16, 17]  # t * eta while t < eta, then eta^2 + t - eta
    assert found == [(each + 1 - 4) / (each + 1) for each in theta]


def test_unused_atoms_are_replaced() -> None:
    signals = sparse_signals(600)
    dictionary = OnlineDictionary(20, alpha=PENALTY, batch_size=200)
    dictionary._begin(signals)
    dictionary.components_[7] = 0
    dictionary._learn([signals[:200]])
    assert dictionary.components_[7].norm() == pytest.approx(1)


def test_k_means_is_as_good_as_scikit_learns() -> None:
    signals = sparse_signals(2000)
    ours = KMeans(25, max_iter=100, tol=1e-6).fit(signals)
    theirs = TheirKMeans(25, init="random", n_init=1, random_state=0).fit(signals.numpy())
    assert ours.inertia_ < 1.05 * theirs.inertia_ / len(signals)
    centers = ours.cluster_centers_
    distances = torch.cdist(signals, centers)
    assert torch.equal(ours.predict(signals), distances.argmin(1))


def test_another_round_of_k_means_is_lloyds() -> None:
    signals = sparse_signals(500)
    once = KMeans(10, max_iter=1).fit(signals)
    twice = KMeans(10, max_iter=2, tol=0).fit(signals)
    groups = once.predict(signals)
    means = torch.stack([signals[groups == group].mean(0) for group in range(10)])
    torch.testing.assert_close(twice.cluster_centers_, means)


@pytest.mark.parametrize("kind", [OnlineDictionary, KMeans])
def test_it_is_an_estimator(kind: type) -> None:
    estimator = kind(12, random_state=3)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    signals = sparse_signals(200)
    assert estimator.fit(signals) is estimator
    again = pickle.loads(pickle.dumps(kind(12, random_state=3).fit(signals.numpy())))
    learned = LEARNED[kind]
    assert torch.equal(getattr(estimator, learned), getattr(again, learned))
    assert copy.set_params(random_state=4).fit(signals) is copy
    assert not torch.equal(getattr(estimator, learned), getattr(copy, learned))


@pytest.mark.parametrize("kind", [OnlineDictionary, KMeans])
def test_fewer_descriptors_than_words_is_one_clear_line(kind: type) -> None:
    with pytest.raises(ValueError, match="50 descriptors are fewer than the 1024"):
        kind().fit(sparse_signals(50))


@pytest.mark.parametrize("kind", [OnlineDictionary, KMeans])
def test_flat_photos_have_no_effect_on_training(kind: type) -> None:
    signals = torch.cat([torch.zeros(300, 16), sparse_signals(100)])
    for given in (signals, torch.zeros(30, 16)):
        fitted = kind(20).fit(given)
        assert torch.isfinite(getattr(fitted, LEARNED[kind])).all()
