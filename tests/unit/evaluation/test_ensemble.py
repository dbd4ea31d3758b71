from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import CommandError, DataError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import mean_nll
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet


def member(seed: int) -> Predictions:
    rows = np.random.default_rng(seed).dirichlet(np.ones(6), size=20).astype(np.float32)
    classes = np.array(list("abcdef"))
    keys = np.array([f"image-{i}" for i in range(20)])
    return Predictions(
        split="val",
        views=ViewSet("ten"),
        probabilities=rows,
        labels=np.arange(20) % 6,
        keys=keys,
        classes=classes,
        names=classes,
        weights_digest="w",
    )


def test_probabilities_are_averaged_and_still_sum_to_one() -> None:
    members = [member(0), member(1), member(2)]
    found = ensemble.mean(members)
    np.testing.assert_allclose(found.probabilities, sum(m.probabilities for m in members) / 3, rtol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert found.probabilities.dtype == np.float32
    assert found.weights_digest == ""


def test_the_order_of_members_changes_no_digit() -> None:
    orders = [
        ensemble.mean(list(order)) for order in itertools.permutations([member(0), member(1), member(2)])
    ]
    assert all(np.array_equal(orders[0].probabilities, other.probabilities) for other in orders)


def test_one_member_is_itself() -> None:
    assert ensemble.mean([member(0)]).weights_digest == "w"


@pytest.mark.parametrize("what", ["keys", "classes", "labels"])
def test_members_with_other_images_or_classes_are_refused(what: str) -> None:
    other = member(1)
    other = replace(other, **{what: getattr(other, what)[::-1].copy()})
    with pytest.raises(DataError, match=f"same {what}.*run 2"):
        ensemble.mean([member(0), other])


def three() -> list[Predictions]:
    return [member(0), member(1), member(2)]


def test_a_mean_of_logits_is_the_softmax_of_mean_logarithms() -> None:
    found = ensemble.mean(three(), of="logits").probabilities
    product = np.prod([each.probabilities.astype(np.float64) for each in three()], axis=0) ** (1 / 3)
    np.testing.assert_allclose(found, product / product.sum(axis=1, keepdims=True), rtol=1e-5)


def test_a_probability_of_zero_leaves_a_mean_of_logits_finite() -> None:
    zero = member(0)
    zero.probabilities[0] = np.eye(6, dtype=np.float32)[0]
    assert np.isfinite(ensemble.mean([zero, member(1)], of="logits").probabilities).all()


def test_weights_count_by_their_ratios() -> None:
    twice = ensemble.mean([member(0), member(0), member(1)])
    for weights in ([2, 1], [0.5, 0.25]):
        found = ensemble.mean([member(0), member(1)], weights)
        np.testing.assert_allclose(found.probabilities, twice.probabilities, rtol=1e-6)
    alone = ensemble.mean(three(), [0, 1, 0])
    np.testing.assert_allclose(alone.probabilities, member(1).probabilities, rtol=1e-6)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(CommandError, match="weights"):
        ensemble.mean([member(0), member(1)], weights)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_searched_weights_are_no_worse_than_equal_ones_where_they_were_searched(seed: int) -> None:
    members = [member(seed), member(seed + 1), member(seed + 2)]
    weights = ensemble.search_weights(members)
    assert all(0 <= weight <= 1 and round(weight * 20) == pytest.approx(weight * 20) for weight in weights)
    labels = members[0].labels
    found, equal = (mean_nll(ensemble.mean(members, w).probabilities, labels) for w in (weights, None))
    assert found <= equal + 1e-6


def test_the_search_finds_the_one_model_that_is_right() -> None:
    knowing = member(0)
    knowing.probabilities[:] = 0.01
    knowing.probabilities[np.arange(20), knowing.labels] = 0.95
    weights = ensemble.search_weights([member(1), knowing, member(2)])
    assert weights[1] > 0
    assert weights[0] == weights[2] == 0


def test_growth_counts_what_each_member_adds() -> None:
    steps = ensemble.growth(three())
    assert [step.nets for step in steps] == [1, 2, 3]
    for step in steps:
        mean = ensemble.mean(three()[: step.nets])
        wrong = mean.probabilities.argmax(axis=1) != mean.labels
        assert step.top1_error == wrong.mean()
        assert step.top1_interval[0] <= step.top1_error <= step.top1_interval[1]
    assert steps[0].gain is None
    assert steps[2].gain == pytest.approx(steps[1].top1_error - steps[2].top1_error)
    assert steps[2].gain_interval
    assert steps[2].gain_interval[0] <= steps[2].gain <= steps[2].gain_interval[1]
    alone = [float(np.mean(each.probabilities.argmax(axis=1) != each.labels)) for each in three()]
    assert steps[0].choices_top1_error == pytest.approx(np.mean(alone))
    assert steps[2].choices_top1_error == steps[2].top1_error
    pairs = [ensemble.mean([three()[i], three()[j]]) for i, j in ((0, 1), (0, 2), (1, 2))]
    errors = [np.mean(pair.probabilities.argmax(axis=1) != pair.labels) for pair in pairs]
    assert steps[1].choices_top1_error == pytest.approx(np.mean(errors))


def test_too_many_members_are_not_tried_in_every_choice() -> None:
    steps = ensemble.growth([member(seed) for seed in range(ensemble.ALL_CHOICES + 1)])
    assert {step.choices_top1_error for step in steps} == {None}


def test_weights_are_not_searched_on_unlabeled_images() -> None:
    nameless = [replace(each, labels=np.full(20, -1)) for each in three()]
    with pytest.raises(CommandError, match="no label"):
        ensemble.search_weights(nameless)


@pytest.mark.parametrize("images", [1, 1023, 1025, 2050])
def test_growth_does_not_depend_on_how_images_are_cut_into_blocks(images: int) -> None:
    def many(seed: int) -> Predictions:
        rows = np.random.default_rng(seed).dirichlet(np.ones(6), size=images).astype(np.float32)
        keys = np.arange(images).astype(np.str_)
        return replace(member(0), probabilities=rows, labels=np.arange(images) % 6, keys=keys)

    members = [many(0), many(1)]
    for of in ("probabilities", "logits"):
        mean = ensemble.mean(members, of=of)
        wrong = float(np.mean(mean.probabilities.argmax(axis=1) != mean.labels))
        assert ensemble.growth(members, of=of)[-1].top1_error == wrong


def test_weights_of_growth_go_with_the_members() -> None:
    steps = ensemble.growth(three(), [0.0, 1.0, 3.0])
    assert [step.nets for step in steps] == [2, 3]  # the first one alone says nothing
    assert steps[1].top1_error == np.mean(
        ensemble.mean(three(), [0, 1, 3]).probabilities.argmax(axis=1) != three()[0].labels
    )
