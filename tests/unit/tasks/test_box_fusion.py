"""Merging of boxes compared with a reference, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import box_merging as twin

from alexnet.tasks.box_fusion import FARTHEST_MATCH, match_scores, merge


def boxes(seed: int, count: int) -> np.ndarray:
    """Around three objects, as windows of a localizer would give them."""
    generator = np.random.default_rng(seed)
    centers = np.array([[0.3, 0.3], [0.7, 0.4], [0.5, 0.8]])[generator.integers(0, 3, count)]
    middles, sizes = (
        centers + 0.08 * generator.normal(size=(count, 2)),
        generator.uniform(0.1, 0.5, (count, 2)),
    )
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 24))
def test_merging_equals_the_reference(seed: int, count: int) -> None:
    corners, scores = boxes(seed, count), np.random.default_rng(seed).uniform(0.1, 1, count)
    found, sums = merge(corners, scores)
    wanted = twin.merge([tuple(box) for box in corners], list(scores), FARTHEST_MATCH)  # type: ignore[misc]
    assert sums == pytest.approx([score for score, _ in wanted])
    assert found == pytest.approx(np.array([box for _, box in wanted]).reshape(-1, 4))


@given(st.integers(0, 10_000), st.integers(1, 20))
def test_merging_loses_no_box_and_the_rest_is_far_apart(seed: int, count: int) -> None:
    corners = boxes(seed, count)
    found, sums = merge(corners, np.ones(count))
    assert sums.sum() == pytest.approx(count)
    assert list(sums) == sorted(sums, reverse=True)
    scores = match_scores(found, found)[np.triu_indices(len(found), 1)]
    assert (scores > FARTHEST_MATCH).all()
    assert (found.min(axis=0) >= corners.min(axis=0) - 1e-12).all()
    assert (found.max(axis=0) <= corners.max(axis=0) + 1e-12).all()


def test_equal_boxes_match_best_and_boxes_apart_do_not() -> None:
    scores = match_scores([[0, 0, 1, 1]], [[0, 0, 1, 1], [0.2, 0, 1.2, 1], [2, 0, 3, 1]])[0]
    assert scores[0] == 0
    assert scores[1] == pytest.approx(0.2 / np.sqrt(2) + 1 - 0.8 / 1.2)
    assert scores[1] < FARTHEST_MATCH < 1 < scores[2]


def test_coherent_boxes_outweigh_one_sure_box() -> None:
    corners = np.array(
        [[0.1, 0.1, 0.4, 0.4], [0.6, 0.6, 0.9, 0.9], [0.61, 0.6, 0.9, 0.9], [0.6, 0.6, 0.9, 0.92]]
    )
    found, sums = merge(corners, np.array([0.8, 0.4, 0.4, 0.4]))
    assert sums == pytest.approx([1.2, 0.8])
    assert found[0] == pytest.approx([0.6, 0.6, 0.9, 0.9], abs=0.02)


def test_a_merged_box_is_the_weighted_mean_of_all_in_it() -> None:
    """The last one that is merged does not count half, however many came before it."""
    corners = np.array([*(20 * [[0.2, 0.2, 0.6, 0.6]]), [0.2, 0.2, 0.8, 0.6]])
    scores = np.array([*(20 * [0.9]), 0.3])
    found, sums = merge(corners, scores)
    assert sums == pytest.approx([18.3])
    assert found[0] == pytest.approx(np.average(corners, axis=0, weights=scores))
    found, sums = merge(np.array([[0, 0, 1, 1], [0, 0, 1, 0.9]]), np.zeros(2))
    assert found[0] == pytest.approx([0, 0, 1, 0.95])


def test_no_boxes_are_no_boxes() -> None:
    found, sums = merge(np.empty((0, 4)), np.empty(0))
    assert found.shape == (0, 4)
    assert sums.shape == (0,)
