from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import sampling

from alexnet.data.randomness import (
    ImageRandomness,
    _key,
    _shuffled,
    balanced_epoch_order,
    epoch_order,
)

seeds = st.integers(0, 2**63)
index_lists = st.lists(st.integers(0, 2**31), min_size=1, max_size=20)


@given(seeds, st.integers(0, 1000), index_lists, st.data())
def test_numbers_depend_on_the_image_not_on_its_batch(
    seed: int, epoch: int, indices: list[int], data: st.DataObject
) -> None:
    together = ImageRandomness(seed, epoch, indices)
    row = data.draw(st.integers(0, len(indices) - 1))
    alone = ImageRandomness(seed, epoch, [indices[row]], positions=[99])
    assert np.array_equal(together.uniform("a", 4)[row], alone.uniform("a", 4)[0])
    assert np.array_equal(together.normal("a", 3)[row], alone.normal("a", 3)[0])
    assert together.integers("a", 33)[row] == alone.integers("a", 33)[0]
    assert np.array_equal(together.uniform("a", 2), together.uniform("a", 4)[:, :2])


@given(seeds, st.integers(0, 1000), index_lists)
def test_seed_epoch_and_name_each_change_every_number(seed: int, epoch: int, indices: list[int]) -> None:
    numbers = ImageRandomness(seed, epoch, indices).uniform("crop")
    assert np.all((numbers >= 0) & (numbers < 1))
    for other in (
        ImageRandomness(seed + 1, epoch, indices).uniform("crop"),
        ImageRandomness(seed, epoch + 1, indices).uniform("crop"),
        ImageRandomness(seed, epoch, indices).uniform("mirror"),
    ):
        assert not np.any(numbers == other)


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
    return value ^ (value >> 31)


def test_numbers_equal_a_reference_with_plain_integers_and_never_change() -> None:
    golden = 0x9E3779B97F4A7C15
    key = int.from_bytes(hashlib.blake2b(b"image/crop/1/2", digest_size=8).digest(), "little")
    start = _mix(_mix((key + golden * (1_281_166 + 1)) % 2**64))
    twin = [(_mix((start + golden * step) % 2**64) >> 11) / 2**53 for step in (1, 2)]
    numbers = ImageRandomness(1, 2, [0, 1_281_166]).uniform("crop", 2)
    assert numbers[1].tolist() == twin
    # Interrupted runs resume with these numbers: a change here breaks them.
    np.testing.assert_allclose(numbers, [[0.181373, 0.337741], [0.156035, 0.242411]], atol=1e-6)
    assert epoch_order(0, 0, 10).tolist() == [7, 5, 3, 0, 1, 2, 4, 8, 9, 6]


@pytest.mark.parametrize("axis", ["images", "counts", "epochs", "seeds"])
def test_uniform_is_flat_and_neighbors_are_independent(axis: str) -> None:
    total = 40_000
    rows = {
        "images": lambda: ImageRandomness(0, 0, np.arange(total)).uniform("a")[:, 0],
        "counts": lambda: ImageRandomness(0, 0, [5]).uniform("a", total)[0],
        "epochs": lambda: np.array(
            [ImageRandomness(0, epoch, [5]).uniform("a")[0, 0] for epoch in range(4000)]
        ),
        "seeds": lambda: np.array([ImageRandomness(seed, 0, [5]).uniform("a")[0, 0] for seed in range(4000)]),
    }
    numbers = rows[axis]()
    counts = np.histogram(numbers, bins=50, range=(0, 1))[0]
    expected = len(numbers) / 50
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert 20 < chi_square < 95  # 49 degrees of freedom: beyond either bound with probability below 1e-4
    correlation = np.corrcoef(numbers[:-1], numbers[1:])[0, 1]
    assert abs(correlation) < 4.5 / np.sqrt(len(numbers))


def test_normal_has_the_moments_of_a_normal_and_uncorrelated_columns() -> None:
    numbers = ImageRandomness(3, 1, np.arange(50_000)).normal("noise", 3)
    assert np.all(np.abs(numbers.mean(0)) < 0.02)
    assert np.all(np.abs(numbers.std(0) - 1) < 0.02)
    assert np.all(np.abs((numbers**4).mean(0) - 3) < 0.2)
    assert np.all(np.abs(np.corrcoef(numbers.T) - np.eye(3)) < 0.02)


def test_integers_reach_both_ends_equally() -> None:
    numbers = ImageRandomness(0, 0, np.arange(33_000)).integers("y", 33)
    counts = np.bincount(numbers, minlength=33)
    assert len(counts) == 33
    assert counts.min() > 850 and counts.max() < 1150


def test_shared_draws_change_once_per_group_of_the_order() -> None:
    order = epoch_order(0, 0, 128)
    numbers = ImageRandomness(0, 0, order, np.arange(128)).shared(32).uniform("crop")[:, 0]
    assert len(np.unique(numbers)) == 4
    assert len(np.unique(numbers[:32])) == 1
    later_half = ImageRandomness(0, 0, order[80:], np.arange(80, 128)).shared(32).uniform("crop")[:, 0]
    assert np.array_equal(numbers[80:], later_half)


@given(seeds, st.integers(0, 100), st.integers(0, 300))
def test_order_is_a_permutation_and_pure(seed: int, epoch: int, length: int) -> None:
    order = epoch_order(seed, epoch, length)
    assert np.array_equal(np.sort(order), np.arange(length))
    assert np.array_equal(order, epoch_order(seed, epoch, length))


def test_orders_of_epochs_and_seeds_are_unrelated() -> None:
    first = epoch_order(0, 0, 5000)
    for other in (epoch_order(0, 1, 5000), epoch_order(1, 0, 5000), np.arange(5000)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.07
        assert np.mean(first == other) < 0.005


label_lists = st.lists(st.integers(0, 4), min_size=1, max_size=30)


@given(seeds, st.integers(0, 6), label_lists)
def test_balanced_epochs_are_those_of_classes_that_take_turns(
    seed: int, epoch: int, labels: list[int]
) -> None:
    found = balanced_epoch_order(seed, epoch, np.array(labels))
    unshuffled = np.empty_like(found)
    unshuffled[epoch_order(seed, epoch, len(labels))] = np.arange(len(labels))

    def shuffle(label: int, number: int) -> list[int]:
        return _shuffled(_key("class", str(label), seed, number), labels.count(label)).tolist()

    assert found[unshuffled].tolist() == sampling.balanced_epoch(labels, epoch, shuffle)


@given(seeds, label_lists)
def test_images_of_a_class_come_equally_often_in_the_long_run(seed: int, labels: list[int]) -> None:
    epochs = [balanced_epoch_order(seed, epoch, np.array(labels)) for epoch in range(8)]
    counts = np.bincount(np.concatenate(epochs), minlength=len(labels))
    for label in set(labels):
        of_class = counts[np.array(labels) == label]
        assert of_class.max() - of_class.min() <= 1
    by_class = [counts[np.array(labels) == label].sum() for label in set(labels)]
    assert max(by_class) - min(by_class) <= 1
    for order in epochs:
        per_epoch = np.bincount(np.array(labels)[order], minlength=5)[sorted(set(labels))]
        assert per_epoch.max() - per_epoch.min() <= 1


def test_balanced_orders_depend_on_seed_and_epoch() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    orders = [balanced_epoch_order(seed, epoch, labels).tolist() for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    assert len(set(map(tuple, orders))) == 3
    assert balanced_epoch_order(1, 0, labels).tolist() == orders[0]
