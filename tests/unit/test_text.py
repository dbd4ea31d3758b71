from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.text import all_of, counted, first_few, nearest, percentage, suggestion


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "epoch", "1 epoch"),
        (3, "epoch", "3 epochs"),
        (0, "image", "0 images"),
        (1200, "update", "1,200 updates"),
        (2, "micro-batch", "2 micro-batches"),
        (1, "process", "1 process"),
        (3, "process", "3 processes"),
        (1, "box", "1 box"),
        (2, "box", "2 boxes"),
    ],
)
def test_a_noun_follows_its_count(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


def test_names_in_a_sentence() -> None:
    assert [all_of(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_the_first_few_names_and_whether_there_are_more() -> None:
    assert first_few(["a", "b"], 2) == "a, b"
    assert first_few(["a", "b", "c"], 2) == "a, b, ..."
    assert first_few([], 2) == ""


@pytest.mark.parametrize(
    ("fraction", "text"), [(1 / 6, "16.7 %"), (0.0, "0.0 %"), (0.0095, "0.95 %"), (1, "100.0 %")]
)
def test_percentages(fraction: float, text: str) -> None:
    assert percentage(fraction) == text


NAMES = ["alexnet-2012", "alexnet-paper", "caffenet", "lenet-5", "lenet-1989", "sift-fv", "vgg-a", "vgg-d"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("alexnet-2013", "alexnet-2012"),
        ("AlexNet_2012", "alexnet-2012"),
        ("alexnte-2012", "alexnet-2012"),
        ("alexnet2012", "alexnet-2012"),
        ("alexnet", "alexnet-2012"),
        ("lenet5", "lenet-5"),
        ("cafenet", "caffenet"),
        ("vgg-e", "vgg-d"),
        ("resnet50", ""),
        ("densenet", ""),
        ("mobilenet", ""),
        ("vgg16", ""),
        ("le", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_one_that_may_have_been_meant(typed: str, meant: str) -> None:
    assert nearest(typed, NAMES) == meant


def test_of_equally_near_names_it_is_the_last() -> None:
    assert nearest("conv7", [f"conv{number}" for number in range(1, 7)]) == "conv6"


def test_a_suggestion_without_a_near_name_lists_the_choices_or_says_where_they_are() -> None:
    assert suggestion("trian", ["train", "test"]) == "the nearest is 'train'"
    assert suggestion("xyz", ["train", "test"]) == "choose from: train, test"
    assert suggestion("xyz", ["train", "test"], otherwise="see there") == "see there"


@given(st.text("ab-_", max_size=6), st.text("ab-_", max_size=6))
def test_a_name_that_one_edit_makes_is_near(start: str, end: str) -> None:
    assert nearest(f"{start}c{end}xyz", [f"{start}{end}xyz"])
