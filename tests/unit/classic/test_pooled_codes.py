"""Locality-constrained codes, super-vectors and max pooling against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alexnet.classic.encoders import (
    NEIGHBORS,
    REGULARIZATION,
    locality_constrained_codes,
    max_pool,
    super_vectors,
)
from alexnet.classic.sparse_coding import SparseCodes
from tests.reference import codes as slow


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_locality_constrained_codes_are_the_closed_form() -> None:
    assert (NEIGHBORS, REGULARIZATION) == (5, 1e-4), "LLC_coding_appr.m of Wang et al. 2010"
    descriptors, words = normal(30, 8), normal(20, 8, seed=1)
    found = locality_constrained_codes(descriptors, words).dense(20)
    expected = [slow.locality_constrained(each, words.numpy(), 5) for each in descriptors.numpy()]
    np.testing.assert_allclose(found.numpy(), np.stack(expected), atol=1e-9)


def test_locality_constrained_codes_sum_to_one_and_use_the_nearest() -> None:
    codes = locality_constrained_codes(normal(50, 6).float(), normal(40, 6, seed=1).float(), 3)
    assert codes.atoms.shape == (50, 3)
    torch.testing.assert_close(codes.values.sum(1), torch.ones(50))


def test_a_word_is_coded_by_itself() -> None:
    words = normal(12, 30).float()
    found = locality_constrained_codes(words, words).dense(12)
    torch.testing.assert_close(found, torch.eye(12), atol=1e-2, rtol=0)


def test_words_that_coincide_share_alike() -> None:
    found = locality_constrained_codes(torch.zeros(2, 4), torch.zeros(3, 4))
    torch.testing.assert_close(found.values, torch.full((2, 3), 1 / 3))


def cells_of(places: int) -> torch.Tensor:
    everywhere = torch.ones(1, places, dtype=torch.bool)
    halves = torch.arange(places) < places // 2
    return torch.cat([everywhere, halves[None], ~halves[None], ~everywhere])


@pytest.mark.parametrize("places", [1, 7, 40])
def test_super_vectors_are_weighted_sums(places: int) -> None:
    descriptors, words, cells = normal(3, places, 5), normal(6, 5, seed=1), cells_of(places)
    found = super_vectors(descriptors, cells, words, 0.3)
    assert found.shape == (3, 4, 6 * 6)
    for photo in range(3):
        for cell in range(4):
            expected = slow.super_vector(descriptors[photo][cells[cell]].numpy(), words.numpy(), 0.3)
            np.testing.assert_allclose(found[photo, cell].numpy(), expected, atol=1e-12)


def test_without_descriptors_everything_is_zero() -> None:
    none = torch.zeros(4, 0, dtype=torch.bool)
    found = super_vectors(torch.zeros(2, 0, 5), none, torch.randn(6, 5))
    assert found.shape == (2, 4, 36)
    assert not found.any()
    codes = locality_constrained_codes(torch.zeros(0, 5), torch.randn(6, 5))
    assert codes.dense(6).shape == (0, 6)
    assert not max_pool(codes, none, 6, photos=2).any()


def test_max_pooling_takes_the_largest_of_a_cell() -> None:
    dense = torch.where(normal(3, 11, 9) > 0.5, normal(3, 11, 9, seed=2), 0)
    atoms = torch.arange(9).expand(33, 9).flip(1)
    codes = SparseCodes(atoms, dense.flatten(0, 1).flip(1))
    cells = cells_of(11)
    found = max_pool(codes, cells, 9, photos=3)
    np.testing.assert_array_equal(found.numpy(), slow.max_pooled(dense.numpy(), cells.numpy()))
