"""Linear classifiers against liblinear, calibration, product quantization and the feature file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

from alexnet.classic import svm
from alexnet.classic.compression import FeatureFile, Halves, ProductQuantizer, Quantized
from alexnet.classic.svm import HingeSgd, LinearSvm, SoftmaxCalibration


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


def test_as_liblinear() -> None:
    """The regularized hinge loss is within 2 % of liblinear's, and so are the answers to new photos."""
    rows, labels = photos(600)
    new, right = photos(2000, seed=1)
    alpha = 1e-3
    theirs = LinearSVC(loss="hinge", C=1 / (alpha * 600), intercept_scaling=10, max_iter=100_000, tol=1e-5)
    theirs.fit(rows, labels)
    mine = LinearSvm(alpha, max_iter=60, n_iter_no_change=60, validation_fraction=0).fit(rows, labels)
    best = objective(theirs.coef_, theirs.intercept_, alpha)
    sgd = HingeSgd(4, 40, 4.0, alpha, 32)
    order = torch.arange(600)
    for _ in range(200):
        sgd.one_pass(lambda few: torch.from_numpy(rows)[few], order, torch.from_numpy(labels))
    assert objective(*(each.numpy() for each in sgd.classifiers()), alpha) < 1.02 * best
    assert (mine.predict(new) == right).mean() > (theirs.predict(new) == right).mean() - 0.01


def test_weights_are_scale_times_direction_at_any_rate_of_decay() -> None:
    rows, labels = (torch.from_numpy(each) for each in photos(200))
    for decay in (0.0, 0.02, 0.24):
        sgd, weights, biases = HingeSgd(4, 40, 4.0, decay, 10), torch.zeros(4, 40), torch.zeros(4)
        for step in range(60):
            few = torch.arange(200)[step % 20 * 10 :][:10]
            rate = 4.0 / (1 + 4.0 * decay * step)
            signs = torch.where(labels[few, None] == torch.arange(4), 1.0, -1.0)
            pull = signs * (signs * (rows[few] @ weights.T + biases) < 1)
            weights = (1 - rate * decay) * weights + rate / 10 * pull.T @ rows[few]
            biases = biases + rate / 10 * pull.sum(0)
        for _ in range(3):
            sgd.one_pass(rows.__getitem__, torch.arange(200), labels)
        assert torch.allclose(sgd.weights, weights, atol=1e-4)
        assert torch.allclose(sgd.biases, biases, atol=1e-4)


def test_it_stops_when_nothing_gets_better() -> None:
    rows, labels = photos(300)
    found = LinearSvm(1e-3, max_iter=500, n_iter_no_change=3).fit(rows, labels)
    assert 3 < found.n_iter_ < 100


def test_it_keeps_scikit_learns_contract(tmp_path: Path) -> None:
    rows, labels = photos(300)
    names = np.array(["ant", "bee", "cat", "dog"])[labels]
    estimator = clone(LinearSvm(1e-4, random_state=5))
    found = make_pipeline(Normalizer(), estimator).fit(rows, names)
    assert found.score(rows, names) > 0.7
    np.save(tmp_path / "rows.npy", rows.astype(np.float16))
    mapped = LinearSvm(1e-4).fit(np.load(tmp_path / "rows.npy", mmap_mode="r"), names)
    assert (
        mapped.predict(rows).tolist()
        == LinearSvm(1e-4).fit(rows.astype(np.float16), names).predict(rows).tolist()
    )
    with pytest.raises(ValueError, match="one class"):
        LinearSvm().fit(rows, np.zeros(300))


def test_lists_and_tensors_are_taken_as_arrays_are() -> None:
    rows, labels = photos(100)
    wanted = LinearSvm(1e-3, max_iter=3).fit(rows, labels)
    lists = LinearSvm(1e-3, max_iter=3).fit(rows.tolist(), labels.tolist())
    tensors = LinearSvm(1e-3, max_iter=3).fit(torch.from_numpy(rows), torch.from_numpy(labels))
    for found in (lists, tensors):
        assert np.array_equal(found.coef_, wanted.coef_)
    assert np.array_equal(tensors.predict(torch.from_numpy(rows)), lists.predict(rows.tolist()))


def test_photos_held_out_are_a_share_of_each_class() -> None:
    labels = torch.tensor([0] * 20 + [1] * 10 + [2] * 2 + [3])
    kept, held = svm.split(labels, 0.2, seed=0)
    assert torch.cat([kept, held]).sort().values.tolist() == list(range(33))
    assert torch.bincount(labels[held], minlength=4).tolist() == [4, 2, 1, 0]
    assert not torch.equal(held, svm.split(labels, 0.2, seed=1)[1])
    assert len(svm.split(labels, 0.0, seed=0)[1]) == 0


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


def test_quantized_as_k_means_of_each_group() -> None:
    """Sanchez and Perronnin 2011: a byte for 8 numbers. From the same centers, scikit-learn's result."""
    rows = torch.randn(400, 20, generator=torch.Generator().manual_seed(0))
    found = clone(ProductQuantizer(8, bits=3, max_iter=5)).fit(rows)
    codes = found.transform(rows)
    assert codes.dtype == torch.uint8
    assert codes.shape == (400, 3)
    drawn = torch.randperm(400, generator=torch.Generator().manual_seed(0))[:8]
    for group in range(2):
        part = rows[:, 8 * group : 8 * group + 8].double().numpy()
        theirs = KMeans(8, init=part[drawn], n_init=1, max_iter=5, tol=0, algorithm="lloyd").fit(part)
        assert np.allclose(found.centers_[group], theirs.cluster_centers_, atol=1e-5)
    distances = torch.cdist(rows[:, :8], found.centers_[0])
    assert torch.equal(distances.argmin(1), codes[:, 0].long())


def test_with_as_many_centers_as_rows_nothing_is_lost() -> None:
    rows = torch.randn(50, 21, generator=torch.Generator().manual_seed(0))
    found = ProductQuantizer().fit(rows)
    assert torch.allclose(found.inverse_transform(found.transform(rows)), rows)


@pytest.mark.parametrize("quantized", [False, True])
def test_vectors_go_to_the_file_and_back(tmp_path: Path, quantized: bool) -> None:
    rows = torch.randn(50, 24, generator=torch.Generator().manual_seed(0))
    codec = Quantized(ProductQuantizer().fit(rows)) if quantized else Halves()
    file = FeatureFile(tmp_path / "rows.npy", 50, 24, codec)
    file.create()
    for start in (0, 32):
        file.write(start, rows[start : start + 32])
    order = torch.tensor([40, 3, 3, 0])
    assert torch.allclose(file.read(order), rows[order], atol=2e-3)
    assert np.load(tmp_path / "rows.npy").shape == (50, 3 if quantized else 24)


def test_what_was_written_is_on_the_disk_before_anything_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, synced = FeatureFile(tmp_path / "rows.npy", 4, 8, Halves()), list[int]()
    file.create()
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.fstat(opened).st_ino))
    file.write(0, torch.ones(2, 8))
    assert synced == [(tmp_path / "rows.npy").stat().st_ino]
