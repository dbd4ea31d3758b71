"""Classes are their WNIDs; names are unique; lists that differ are refused with what differs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.classes import (
    Class,
    classes_of,
    imagenet_classes,
    in_label_order,
    label_map,
    name_of,
    read_words,
    same_classes,
)
from alexnet.errors import DataError

WNIDS = st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True)


def test_imagenet_has_a_thousand_classes_in_wnid_order_with_names_of_their_own() -> None:
    classes = imagenet_classes()
    wnids = [c.wnid for c in classes]
    assert len(classes) == 1000
    assert wnids == sorted(set(wnids))
    assert len({c.name.casefold() for c in classes}) == 1000
    assert classes[0] == Class("n01440764", "tench")
    assert classes[999] == Class("n15075141", "toilet tissue")


def test_names_that_imagenet_gives_twice_are_told_apart() -> None:
    twins = ["n02012849", "n03126707", "n03710637", "n03710721", "n04355933", "n04356056"]
    assert len({name_of(wnid) for wnid in twins}) == 6
    assert "crane" in name_of("n02012849")
    assert "crane" in name_of("n03126707")


def test_an_unknown_class_is_its_own_name() -> None:
    assert name_of("holiday snaps") == "holiday snaps"


def test_names_come_from_imagenet_then_words_then_wnid() -> None:
    words = read_words("n01440764 wrong\nn99999999\tfirst, second\n\nn5\n")
    found = classes_of(["n01440764", "n99999999", "cats"], words)
    assert [c.name for c in found] == ["tench", "first", "cats"]


def test_a_name_used_twice_gets_its_wnid() -> None:
    found = classes_of(["n90000001", "n90000002"], {"n90000001": "Owl, bird", "n90000002": "owl"})
    assert [c.name for c in found] == ["Owl (n90000001)", "owl (n90000002)"]


def test_label_order_is_sorted_and_numeric_for_numbers() -> None:
    assert in_label_order(["10", "9", "b"]) == ["10", "9", "b"]
    assert in_label_order(["10", "9", "100"]) == ["9", "10", "100"]


@given(WNIDS)
def test_equal_lists_pass_whatever_the_names(wnids: list[str]) -> None:
    same_classes(classes_of(wnids), [Class(wnid, "another name " + wnid) for wnid in wnids], "lists")


def test_differences_are_named() -> None:
    five, three = classes_of("abcde"), classes_of("azx")
    with pytest.raises(
        DataError,
        match=r"^train and val differ: only in the first: b, c, d and 1 more; only in the second: z, x$",
    ):
        same_classes(five, three, "train and val")
    with pytest.raises(DataError, match="another order: label 1 is c, wanted b"):
        same_classes(classes_of("abc"), classes_of("acb"), "lists")


@given(WNIDS, st.randoms(use_true_random=False))
def test_label_map_brings_labels_to_the_other_order(wnids: list[str], random) -> None:
    shuffled = random.sample(wnids, len(wnids))
    mapping = label_map(classes_of(shuffled), classes_of(wnids), "lists")
    assert mapping.dtype == np.int32
    assert [wnids[label] for label in mapping] == shuffled


def test_label_map_refuses_a_class_that_is_not_there() -> None:
    with pytest.raises(DataError, match="predictions: no such class z"):
        label_map(classes_of("az"), classes_of("abc"), "predictions")


@pytest.mark.parametrize(("found", "expected"), [("aab", "ab"), ("ab", "aab")])
def test_label_map_refuses_a_class_with_two_labels(found: str, expected: str) -> None:
    lists = ([Class(wnid, wnid) for wnid in each] for each in (found, expected))
    with pytest.raises(DataError, match="predictions: more than one label for class a"):
        label_map(*lists, "predictions")
