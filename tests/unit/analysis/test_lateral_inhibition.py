"""The bound and the inhibition of response normalization: formulas, our layer, finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from alexnet.analysis.lateral_inhibition import NEIGHBORS, derivatives, peak, responses_alone
from alexnet.models.layers.local_response_norm import LocalResponseNorm

PAPER = LocalResponseNorm(alpha_convention="sum")


def test_a_map_that_is_active_alone_has_the_papers_bound() -> None:
    """a / (2 + 1e-4 a^2)^0.75 is at most 200 / 6^0.75 = 52.2."""
    found = peak(PAPER.params)
    assert found.activity == pytest.approx(200.0)
    assert found.response == pytest.approx(200 / 6**0.75) == pytest.approx(52.2, abs=0.05)
    activities = np.linspace(0, 2000, 20_001)
    responses = responses_alone(PAPER, activities)
    assert responses.max() == pytest.approx(found.response, rel=1e-6)
    assert activities[responses.argmax()] == pytest.approx(found.activity)
    assert responses == pytest.approx(activities / (2 + 1e-4 * activities**2) ** 0.75)


@pytest.mark.parametrize("n", [2, 5])
def test_the_bound_of_the_source_has_alpha_divided_by_n(n: int) -> None:
    norm = LocalResponseNorm(n)
    found, activities = peak(norm.params), np.linspace(0, 2000, 20_001)
    assert found.activity == pytest.approx(200 * math.sqrt(n))
    assert responses_alone(norm, activities).max() == pytest.approx(found.response, rel=1e-6)


def test_there_is_no_bound_without_a_large_exponent() -> None:
    assert math.isinf(peak(LocalResponseNorm(beta=0.5).params).response)
    assert math.isinf(peak(LocalResponseNorm(alpha=0.0).params).activity)


@pytest.mark.parametrize(
    ("n", "convention", "window"), [(5, "sum", {-2, -1, 1, 2}), (2, "sum", {-1, 1}), (2, "mean", {-1})]
)
def test_a_neighbor_in_the_window_inhibits_and_no_other_map_does(n, convention, window) -> None:
    norm = LocalResponseNorm(n, alpha_convention=convention)
    activities = np.random.default_rng(0).uniform(1, 300, NEIGHBORS)
    found = derivatives(norm, activities)
    for row in range(NEIGHBORS):
        for column in range(NEIGHBORS):
            if column - row in window:
                assert found[row, column] < 0
            elif column != row:
                assert found[row, column] == 0


def test_derivatives_are_those_of_the_formula_and_of_finite_differences() -> None:
    activities = np.random.default_rng(1).uniform(1, 300, NEIGHBORS)
    found, step = derivatives(PAPER, activities), 1e-4
    squares = np.array([(activities[max(0, i - 2) : i + 3] ** 2).sum() for i in range(NEIGHBORS)])
    row, column = 4, 6
    wanted = -1.5e-4 * activities[row] * activities[column] / (2 + 1e-4 * squares[row]) ** 1.75
    assert found[row, column] == pytest.approx(wanted)
    above, below = activities.copy(), activities.copy()
    above[column], below[column] = above[column] + step, below[column] - step
    both = [PAPER(torch.from_numpy(each)[None, :, None, None])[0, :, 0, 0].numpy() for each in (above, below)]
    assert found[:, column] == pytest.approx((both[0] - both[1]) / (2 * step), abs=1e-7)
