"""Evaluation results: written and read back; files of earlier versions; wrong counts are refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
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
    Mistake,
    Rate,
    ViewSet,
    balanced_rate,
    read_results,
    wilson_interval,
)

RESULT = EvalResult(
    split="val",
    views=ViewSet("dense", (64, 72)),
    images=30,
    top1_errors=9,
    top5_errors=None,
    nll=0.75,
    per_class=(ClassErrors("n1", "one", 10, 4, 11), ClassErrors("n2", "two", 20, 5, 19)),
    confusions=(Confusion("n2", "n1", 5), Confusion("n1", "n2", 4)),
    mistakes=(Mistake("two/7.jpg", "n2", "n1", 0.9, 0.05),),
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


def test_scores_of_classes_and_their_means_are_listed() -> None:
    values = RESULT.to_dict()
    one, two = values["per_class"]
    assert (one["recall"], one["precision"], one["f1"]) == (6 / 10, 6 / 11, 12 / 21)
    assert (two["recall"], two["precision"], two["f1"]) == (15 / 20, 15 / 19, 30 / 39)
    assert values["balanced_error"] == pytest.approx((0.4 + 0.25) / 2)
    assert values["balanced_interval"] == list(RESULT.balanced.interval)
    assert values["macro_f1"] == pytest.approx((12 / 21 + 30 / 39) / 2)


def test_an_error_rate_without_images_is_refused() -> None:
    for rate in (
        lambda: Rate.of(0, 0),
        lambda: wilson_interval(0, 0),
        lambda: balanced_rate([(0, 2), (0, 0)]),
    ):
        with pytest.raises(ValueError, match="at least one image"):
            rate()
    with pytest.raises(ValueError, match="at least one image"):
        balanced_rate([])


def test_a_class_without_images_is_in_no_mean() -> None:
    classes = (*RESULT.per_class, ClassErrors("n3", "three", 0, 0, 0))
    changed = replace(RESULT, per_class=classes)
    assert (changed.balanced, changed.macro_f1) == (RESULT.balanced, RESULT.macro_f1)
    assert (classes[2].recall, classes[2].precision, classes[2].f1) == (None, None, None)


def test_a_class_of_which_nothing_was_right_has_an_f1_of_0() -> None:
    assert ClassErrors("n1", "one", 10, 10, 0).f1 == 0
    assert ClassErrors("n1", "one", 10, 10, 0).precision is None


@pytest.mark.parametrize("errors", [0, 3, 20])
def test_the_balanced_interval_of_one_class_is_its_own(errors: int) -> None:
    found, wanted = balanced_rate([(errors, 20)]), Rate.of(errors, 20)
    assert (found.error, *found.interval) == pytest.approx((wanted.error, *wanted.interval))


@pytest.mark.parametrize("rates", [(0.05, 0.3, 0.5), (0.02, 0.02, 0.02), (0.9, 0.5, 0.1)])
@pytest.mark.parametrize("images", [(200, 40, 12), (15, 15, 15)])
def test_the_balanced_interval_has_about_its_nominal_coverage(rates, images) -> None:
    generator = np.random.default_rng(0)
    held = 0
    for errors in generator.binomial(images, rates, (2000, 3)):
        low, high = balanced_rate(list(zip(errors.tolist(), images, strict=True))).interval
        held += low <= np.mean(rates) <= high
    assert 0.92 <= held / 2000 <= 0.985


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1))
def test_the_balanced_interval_contains_the_error_and_lies_in_0_to_1(counts: list[tuple[int, int]]) -> None:
    found = balanced_rate([(min(errors, images), images) for errors, images in counts])
    low, high = found.interval
    assert 0 <= low <= found.error + 1e-12 and found.error - 1e-12 <= high <= 1
    assert low < high


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    """Without mistakes and without what was predicted to be of each class."""
    old = RESULT.to_dict() | {"format_version": 1}
    for name in ("mistakes", "balanced_error", "balanced_interval", "macro_f1"):
        del old[name]
    for each in old["per_class"]:
        for name in ("predicted", "recall", "precision", "f1"):
            del each[name]
    (found,) = read_results(in_file(tmp_path, old))
    assert (found.top1, found.balanced) == (RESULT.top1, RESULT.balanced)
    assert (found.macro_f1, found.mistakes) == (None, ())
    assert read_results(in_file(tmp_path, found.to_dict())) == [found]


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
        ({"format_version": 3}, "has format version 3, this program reads 2: update alexnet"),
        (
            {"per_class": [asdict(each) | {"predicted": 20} for each in RESULT.per_class]},
            "40 images were predicted to be of some class, but the split has 30",
        ),
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
