"""Classes are identified by WNID, names are unique, and differing lists are refused with the differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.classes import (
    Class,
    check_same_classes,
    class_name,
    classes_from_wnids,
    imagenet_classes,
    in_label_order,
    label_map,
    read_synonyms,
)
from alexnet.errors import DataError

WNIDS = st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True)


def test_imagenet_has_a_thousand_classes_in_wnid_order_with_unique_names() -> None:
    classes = imagenet_classes()
    wnids = [c.wnid for c in classes]
    assert len(classes) == 1000
    assert wnids == sorted(set(wnids))
    assert len({c.name.casefold() for c in classes}) == 1000
    assert classes[0] == Class("n01440764", "tench")
    assert classes[999] == Class("n15075141", "toilet tissue")


def test_duplicate_names_of_imagenet_are_disambiguated() -> None:
    twins = ["n02012849", "n03126707", "n03710637", "n03710721", "n04355933", "n04356056"]
    assert len({class_name(wnid) for wnid in twins}) == 6
    assert "crane" in class_name("n02012849")
    assert "crane" in class_name("n03126707")


def test_an_unknown_class_has_its_wnid_as_name() -> None:
    assert class_name("holiday snaps") == "holiday snaps"


def test_names_come_from_imagenet_then_synonyms_then_wnid() -> None:
    words = read_synonyms("n01440764 wrong\nn99999999\tfirst, second\n\nn5\n")
    found = classes_from_wnids(["n01440764", "n99999999", "cats"], words)
    assert [c.name for c in found] == ["tench", "first", "cats"]


def test_the_name_of_a_folder_is_kept_whole() -> None:
    assert [each.name for each in classes_from_wnids(["Paris, France"])] == ["Paris, France"]


def test_a_name_used_twice_gets_its_wnid() -> None:
    found = classes_from_wnids(["n90000001", "n90000002"], {"n90000001": "Owl, bird", "n90000002": "owl"})
    assert [c.name for c in found] == ["Owl (n90000001)", "owl (n90000002)"]


def test_label_order_is_sorted_and_numeric_for_numbers() -> None:
    assert in_label_order(["10", "9", "b"]) == ["10", "9", "b"]
    assert in_label_order(["10", "9", "100"]) == ["9", "10", "100"]
    assert in_label_order(["10", "010", "0", "00", "9"]) == ["0", "00", "9", "010", "10"]
    assert in_label_order(["1" + 5000 * "0", 5000 * "9", "2"]) == ["2", 5000 * "9", "1" + 5000 * "0"]


@given(WNIDS)
def test_equal_lists_pass_whatever_the_names(wnids: list[str]) -> None:
    check_same_classes(
        classes_from_wnids(wnids), [Class(wnid, "another name " + wnid) for wnid in wnids], "lists"
    )


def test_differences_are_named() -> None:
    five, three = classes_from_wnids("abcde"), classes_from_wnids("azx")
    with pytest.raises(
        DataError,
        match=r"^train and val differ: only in the first: b, c, d and 1 more; only in the second: z, x$",
    ):
        check_same_classes(five, three, "train and val")
    with pytest.raises(DataError, match="another order: label 1 is c, expected b"):
        check_same_classes(classes_from_wnids("abc"), classes_from_wnids("acb"), "lists")


@given(WNIDS, st.randoms(use_true_random=False))
def test_label_map_maps_labels_to_the_other_order(wnids: list[str], random) -> None:
    shuffled = random.sample(wnids, len(wnids))
    mapping = label_map(classes_from_wnids(shuffled), classes_from_wnids(wnids), "lists")
    assert mapping.dtype == np.int32
    assert [wnids[label] for label in mapping] == shuffled


def test_label_map_refuses_a_missing_class() -> None:
    with pytest.raises(DataError, match="predictions: no such class z"):
        label_map(classes_from_wnids("az"), classes_from_wnids("abc"), "predictions")


@pytest.mark.parametrize(("found", "expected"), [("aab", "ab"), ("ab", "aab")])
def test_label_map_refuses_a_class_with_two_labels(found: str, expected: str) -> None:
    lists = ([Class(wnid, wnid) for wnid in each] for each in (found, expected))
    with pytest.raises(DataError, match="predictions: more than one label for class a"):
        label_map(*lists, "predictions")
