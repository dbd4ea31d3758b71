"""Encoders compared with reference implementations: codes, pooling, their contract, bad input."""

from __future__ import annotations

from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from alexnet.classic import pipeline
from alexnet.classic.codebooks import unit
from alexnet.classic.config import Channel
from alexnet.classic.descriptors import DESCRIPTORS
from alexnet.classic.encoders import (
    CODE_NEIGHBORS,
    ENCODERS,
    LASSO_TOLERANCE,
    PENALTY,
    REGULARIZATION,
    WORD_CONSTANT,
    Encoder,
    locality_constrained_codes,
    max_pool,
    super_vectors,
)
from alexnet.classic.sparse_coding import SparseCodes
from tests.reference import codes as slow

WORDS, SIZE = 24, 10
ENCODINGS = ("llc", "l1", "super-vector")
CELLS = pipeline.pyramid_cells(
    ("1x1", "2x2", "3x1"), torch.rand(30, 2, generator=torch.Generator().manual_seed(5))
)


def test_the_configuration_lists_all_descriptors_and_encoders() -> None:
    hints = get_type_hints(Channel)
    assert get_args(hints["descriptor"]) == tuple(DESCRIPTORS)
    assert get_args(hints["encoding"]) == tuple(ENCODERS)


def descriptors(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(seed))


def learned(encoding: str) -> Encoder:
    encoder = ENCODERS[encoding](WORDS, SIZE)
    encoder.learn(descriptors(400, seed=9), seed=3)
    return encoder


def test_super_vectors_are_pooled_by_their_own_weights() -> None:
    encoder, photos = learned("super-vector"), descriptors(2, 30)
    words = encoder.words.double().numpy()
    found = encoder(photos, CELLS).view(2, 8, -1)
    for photo in range(2):
        for cell in range(8):
            here = unit(photos[photo][CELLS[cell]]).double().numpy()
            np.testing.assert_allclose(
                found[photo, cell], slow.super_vector(here, words, WORD_CONSTANT), atol=1e-5
            )


@pytest.mark.parametrize("encoding", ["llc", "l1"])
def test_sparse_codes_are_pooled_by_their_largest_values(encoding: str) -> None:
    encoder, photos = learned(encoding), descriptors(2, 30)
    words = encoder.words.double().numpy()

    def code(descriptor: np.ndarray) -> np.ndarray:
        if encoding == "llc":
            return slow.locality_constrained(descriptor, words, CODE_NEIGHBORS)
        return np.abs(slow.lasso_by_coordinates(descriptor, words, PENALTY))

    dense = np.stack([[code(each) for each in unit(photo).double().numpy()] for photo in photos])
    expected = slow.max_pooled(dense, CELLS.numpy()).reshape(2, -1)
    # The gap of a code is at most TOLERANCE, which its values may differ by the square root of.
    within = 2 * LASSO_TOLERANCE**0.5 if encoding == "l1" else 1e-3
    np.testing.assert_allclose(encoder(photos, CELLS), expected, atol=within)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_photos_code_does_not_depend_on_the_others(encoding: str) -> None:
    encoder, photos = learned(encoding), descriptors(5, 30)
    together = encoder(photos, CELLS)
    assert together.shape == (5, 8 * encoder.size)
    torch.testing.assert_close(together[2:3], encoder(photos[2:3], CELLS), atol=1e-4, rtol=0)
    assert encoder(photos[:0], CELLS).shape == (0, 8 * encoder.size)


def test_other_photos_change_a_lasso_code_within_the_tolerance_only() -> None:
    encoder = ENCODERS["l1"](200, SIZE)
    encoder.learn(descriptors(3000, seed=9), seed=3)
    photos = descriptors(8, 120)
    cells = torch.ones(1, 120, dtype=torch.bool)
    together, alone = encoder(photos, cells), torch.cat([encoder(photo[None], cells) for photo in photos])
    apart = (together - alone).norm(dim=1) / alone.norm(dim=1)
    assert apart.max() < 0.05


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_without_descriptors_codes_are_zero_and_zeros_are_finite(encoding: str) -> None:
    encoder = learned(encoding)
    assert not encoder(descriptors(2, 0), torch.zeros(8, 0, dtype=torch.bool)).any()
    assert encoder(torch.zeros(2, 30, SIZE), CELLS).isfinite().all()
    encoder.learn(torch.zeros(50, SIZE), seed=0)
    assert encoder(descriptors(2, 30), CELLS).isfinite().all(), "learned from flat photos"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_fewer_descriptors_than_words_are_refused(encoding: str) -> None:
    with pytest.raises(ValueError, match="23 descriptors are fewer than the 24"):
        learned(encoding).learn(descriptors(23), seed=0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_learning_again_gives_the_same_and_another_seed_another(encoding: str) -> None:
    one, again, other = learned(encoding), learned(encoding), learned(encoding)
    other.learn(descriptors(400, seed=9), seed=4)
    assert torch.equal(one.words, again.words)
    assert not torch.equal(one.words, other.words)


@pytest.mark.parametrize(("encoding", "size"), [("llc", 24), ("l1", 24), ("super-vector", 24 * 11)])
def test_sizes_and_counts(encoding: str, size: int) -> None:
    encoder = learned(encoding)
    assert encoder.size == size
    assert encoder.multiply_adds(7) == 7 * 24 * 10


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_locality_constrained_codes_are_the_closed_form() -> None:
    assert (CODE_NEIGHBORS, REGULARIZATION) == (5, 1e-4), "LLC_coding_appr.m of Wang et al. 2010"
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


def test_equal_words_get_equal_weights() -> None:
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
