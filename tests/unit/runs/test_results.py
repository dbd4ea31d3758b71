"""Evaluation results: written and read back; files of earlier versions; wrong counts are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.errors import DataError
from alexnet.runs.results import (
    BoxErrors,
    ClassErrors,
    Confusion,
    EvalResult,
    EvaluatedRun,
    LocalizationResult,
    ViewSet,
    read_results,
)

RESULT = EvalResult(
    split="val",
    views=ViewSet("dense", (64, 72)),
    images=30,
    top1_errors=9,
    top5_errors=None,
    nll=0.75,
    per_class=(ClassErrors("n1", "one", 10, 4), ClassErrors("n2", "two", 20, 5)),
    confusions=(Confusion("n1", "n2", 4),),
    store="photos",
    store_digest="abc",
    runs=(EvaluatedRun("run", "alexnet-2012", 3, 0, "last", 18),),
    localization=LocalizationResult(
        28, 2, 20, 15, 9, None, {"whole_image": BoxErrors(28, 2, 25, 18, 9, None)}
    ),
)


def in_file(folder: Path, entry: dict[str, Any]) -> Path:
    (folder / "evaluation.json").write_text(json.dumps([entry]))
    return folder


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_results(in_file(tmp_path, RESULT.to_dict())) == [RESULT]


def test_rates_are_listed_with_the_counts() -> None:
    values = RESULT.to_dict()
    assert values["top1_error"] == 0.3
    assert values["top1_interval"] == list(RESULT.top1.interval)
    assert values["top5_error"] is None and values["top5_interval"] is None
    assert values["localization"]["top1_localization_error"] == 20 / 28
    assert values["localization"]["baselines"]["whole_image"]["top5_localization_error"] == 18 / 28


def test_a_file_of_version_0_is_read(tmp_path: Path) -> None:
    """Without a version, with the British name of a view, phrases for baselines and `updates` missing."""
    old = RESULT.to_dict()
    del old["format_version"], old["runs"][0]["updates"]
    old["views"] = "centre"
    old["localization"]["baselines"]["whole image"] = old["localization"]["baselines"].pop("whole_image")
    (found,) = read_results(in_file(tmp_path, old))
    assert found.views == ViewSet("center")
    assert found.localization == RESULT.localization
    assert found.runs[0].updates is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 31}, "the classes have 30 images and 9 errors, but the split has 31 and 9"),
        ({"top1_errors": 8}, "the classes have 30 images and 9 errors, but the split has 30 and 8"),
        ({"format_version": 2}, "format version 2, this program reads 1: update alexnet"),
        ({"images": "many"}, "images must be a whole number"),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_values_that_are_not_results_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_results(in_file(tmp_path, RESULT.to_dict() | changes))


@given(st.from_regex(r"[a-z+-]+", fullmatch=True), st.lists(st.integers(1, 2000)))
def test_view_sets_are_parsed_from_their_text(name: str, scales: list[int]) -> None:
    views = ViewSet(name, tuple(scales))
    assert ViewSet.parse(str(views)) == views
