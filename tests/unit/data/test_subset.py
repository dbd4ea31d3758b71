"""Subsets of the training images are balanced, nested and deterministic."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.data.store_makers import make_store, row

from alexnet.data.config import DataConfig
from alexnet.data.store import Store, training_images
from alexnet.data.subset import stratified_order
from alexnet.errors import CommandError

COUNT = 11


class FakeSplit:
    def __init__(self, labels: list[int]) -> None:
        self.labels = np.array(labels, np.int32)

    def keys(self) -> list[str]:
        return [f"photo {number}" for number in range(len(self.labels))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(make_store(tmp_path / "store", {"train": [row(number) for number in range(COUNT)]}))


@given(st.lists(st.integers(0, 4), max_size=40))
def test_every_prefix_is_balanced(labels: list[int]) -> None:
    split: Any = FakeSplit(labels)
    order = stratified_order(split.keys(), split.labels)
    assert sorted(order.tolist()) == list(range(len(labels)))
    there = np.bincount(split.labels, minlength=5)
    for count in range(len(labels) + 1):
        taken = np.bincount(split.labels[order[:count]], minlength=5)
        # A class has fewer than another by more than one only if it has no more images.
        assert np.all((taken >= taken.max() - 1) | (taken == there))


def test_smaller_choices_are_within_larger_ones(store: Store) -> None:
    chosen = [
        set(training_images(store, DataConfig(max_images=count)).keys()) for count in range(1, COUNT + 1)
    ]
    for small, large in pairwise(chosen):
        assert small < large
    assert training_images(store, DataConfig()).keys() == store.split("train").keys()


def test_a_part_is_a_split(store: Store) -> None:
    whole = store.split("train")
    part = whole.part(np.array([9, 2, 5]))
    assert (len(part), part.name, part.keys()) == (3, "train", ["photo-9", "photo-2", "photo-5"])
    assert part.labels.tolist() == [whole.labels[index] for index in (9, 2, 5)]
    assert [part.key(index) for index in (0, -1)] == ["photo-9", "photo-5"]
    assert part[1] == whole[2] and bytes(part.buffer(2)) == bytes(whole.buffer(5))
    assert part.part(np.array([2])).keys() == ["photo-5"]
    with pytest.raises(IndexError):
        part.key(3)


def test_the_choice_depends_on_names_alone(tmp_path: Path) -> None:
    rows = [row(number) for number in range(COUNT)]
    first = Store.open(make_store(tmp_path / "a", {"train": rows}))
    second = Store.open(make_store(tmp_path / "b", {"train": rows[::-1]}, shard_records=2))
    some = DataConfig(max_images=6)
    assert set(training_images(first, some).keys()) == set(training_images(second, some).keys())


def test_more_images_than_exist_are_refused(store: Store) -> None:
    with pytest.raises(CommandError, match=r"data\.max_images=12, but .* has 11 training images"):
        training_images(store, DataConfig(max_images=12))
