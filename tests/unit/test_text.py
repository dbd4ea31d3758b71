from __future__ import annotations

import pytest

from alexnet.text import counted, first_few, percentage


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


def test_the_first_few_names_and_whether_there_are_more() -> None:
    assert first_few(["a", "b"], 2) == "a, b"
    assert first_few(["a", "b", "c"], 2) == "a, b, ..."
    assert first_few([], 2) == ""


@pytest.mark.parametrize(
    ("fraction", "text"), [(1 / 6, "16.7 %"), (0.0, "0.0 %"), (0.0095, "0.95 %"), (1, "100.0 %")]
)
def test_percentages(fraction: float, text: str) -> None:
    assert percentage(fraction) == text
