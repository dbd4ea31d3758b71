from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from alexnet.errors import DataError
from alexnet.evaluation import ensemble
from alexnet.runs.predictions import Predictions


def member(seed: int) -> Predictions:
    rows = np.random.default_rng(seed).dirichlet(np.ones(6), size=20).astype(np.float32)
    classes = np.array(list("abcdef"))
    keys = np.array([f"image-{i}" for i in range(20)])
    return Predictions("val", "ten", rows, np.arange(20) % 6, keys, classes, classes, weights_digest="w")


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
def test_members_that_answer_another_question_are_refused(what: str) -> None:
    other = member(1)
    other = replace(other, **{what: getattr(other, what)[::-1].copy()})
    with pytest.raises(DataError, match=f"same {what}.*run 2"):
        ensemble.mean([member(0), other])
