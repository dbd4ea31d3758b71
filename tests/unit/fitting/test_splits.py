"""The three splits of a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.data.classes import Class
from alexnet.data.sources import Example, Source
from alexnet.errors import CommandError, DataError
from alexnet.fitting.splits import with_three_splits

from ..data.memory_source import MemorySplit


def split(per_class: int, name: str, label: int | None = None) -> MemorySplit:
    """Three classes with so many photos each; unlabeled with the label -1."""
    made = [
        Example(
            b"", number % 3 if label is None else label, f"{name}/{number % 3}-{number // 6}-{number}.jpg"
        )
        for number in range(3 * per_class)
    ]
    return MemorySplit(made)


def source(**splits: MemorySplit) -> Source:
    return Source("test", Path("photos"), [Class(name, name) for name in "abc"], dict(splits))


def counts(found: Source) -> dict[str, list[int]]:
    return {name: np.bincount(each.labels, minlength=3).tolist() for name, each in found.splits.items()}


@pytest.mark.parametrize(
    ("photos", "wanted"),
    [
        (20_000, (17_666, 667, 1667)),
        (500, (320, 80, 100)),
        (250, (160, 40, 50)),
        (150, (87, 33, 30)),
        (100, (48, 32, 20)),
        (50, (24, 16, 10)),
    ],
)
def test_a_fifth_of_each_class_is_tested_and_a_fifth_of_the_rest_or_100_photos_choose(
    photos: int, wanted: tuple[int, int, int]
) -> None:
    """Of each of three classes: of all 1,500, of 750, 450 and 300 photos; two fifths at most, as of 150.

    Of 60,000 photos, 5,000 and 2,000 are held out.
    """
    found = with_three_splits(source(train=split(photos, "train")))
    train, val, test = wanted
    assert counts(found) == {"train": 3 * [train], "val": 3 * [val], "test": 3 * [test]}
    keys = [each.key(index) for each in found.splits.values() for index in range(len(each))]
    assert len(keys) == len(set(keys)) == 3 * photos


@pytest.mark.parametrize("name", ["val", "test"])
def test_the_only_other_split_is_the_one_that_is_reported(name: str) -> None:
    given = {"train": split(10, "train"), name: split(7, "other")}
    found = with_three_splits(source(**given))
    assert counts(found) == {"train": 3 * [6], "val": 3 * [4], "test": 3 * [7]}
    assert found.splits["test"] is given[name]


def test_three_splits_stay_as_they_are() -> None:
    given = {"train": split(10, "train"), "val": split(3, "val"), "test": split(4, "test")}
    found = with_three_splits(source(**given))
    assert {name: found.splits[name] for name in given} == given
    with pytest.raises(CommandError, match="has all splits already, so --group-by changes nothing"):
        with_three_splits(source(**given), group_by="(.*)-")


def test_unlabeled_photos_are_left_out_and_named() -> None:
    found = with_three_splits(source(train=split(10, "train"), test=split(4, "test", label=-1)))
    assert counts(found) == {"train": [5, 5, 5], "val": [3, 3, 3], "test": [2, 2, 2]}
    assert [each.what for each in found.left_out] == ["test (12 photos)"]


def test_groups_stay_in_one_split() -> None:
    found = with_three_splits(source(train=split(60, "train")), group_by=r"-(\d+)-")
    groups = [{each.key(index).split("-")[1] for index in range(len(each))} for each in found.splits.values()]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert all(groups)


def test_without_labels_or_with_one_photo_each_there_is_nothing_to_fit() -> None:
    with pytest.raises(DataError, match="has no labeled training photos"):
        with_three_splits(source(train=split(5, "train", label=-1)))
    with pytest.raises(DataError, match="has too few photos to hold some out"):
        with_three_splits(source(train=split(1, "train")))
