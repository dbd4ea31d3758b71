"""Encoders of sparse codes and super-vectors: what they promise the pipeline, and bad input."""

from __future__ import annotations

from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from alexnet.classic import pipeline
from alexnet.classic.codebooks import unit
from alexnet.classic.config import Channel
from alexnet.classic.descriptors import DESCRIPTORS
from alexnet.classic.encoders import CONSTANT, ENCODERS, NEIGHBORS, NONZEROS, PENALTY, TOLERANCE, Encoder
from tests.reference import codes as slow

WORDS, SIZE = 24, 10
ENCODINGS = ("llc", "l1", "omp", "super-vector")
CELLS = pipeline.pyramid_cells(
    ("1x1", "2x2", "3x1"), torch.rand(30, 2, generator=torch.Generator().manual_seed(5))
)


def test_the_configuration_knows_what_there_is() -> None:
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
                found[photo, cell], slow.super_vector(here, words, CONSTANT), atol=1e-5
            )


@pytest.mark.parametrize("encoding", ["llc", "l1", "omp"])
def test_sparse_codes_are_pooled_by_their_largest_values(encoding: str) -> None:
    encoder, photos = learned(encoding), descriptors(2, 30)
    words = encoder.words.double().numpy()

    def code(descriptor: np.ndarray) -> np.ndarray:
        if encoding == "llc":
            return slow.locality_constrained(descriptor, words, NEIGHBORS)
        if encoding == "omp":
            return np.abs(slow.matching_pursuit(descriptor, words, NONZEROS))
        return np.abs(slow.lasso_by_coordinates(descriptor, words, PENALTY))

    dense = np.stack([[code(each) for each in unit(photo).double().numpy()] for photo in photos])
    expected = slow.max_pooled(dense, CELLS.numpy()).reshape(2, -1)
    # The gap of a code is at most TOLERANCE, which its values may differ by the square root of.
    within = 2 * TOLERANCE**0.5 if encoding == "l1" else 1e-3
    np.testing.assert_allclose(encoder(photos, CELLS), expected, atol=within)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_photos_are_coded_each_for_itself(encoding: str) -> None:
    encoder, photos = learned(encoding), descriptors(5, 30)
    together = encoder(photos, CELLS)
    assert together.shape == (5, 8 * encoder.size)
    torch.testing.assert_close(together[2:3], encoder(photos[2:3], CELLS), atol=1e-4, rtol=0)
    assert encoder(photos[:0], CELLS).shape == (0, 8 * encoder.size)


def test_what_is_coded_beside_a_photo_changes_its_lasso_within_the_tolerance() -> None:
    encoder = ENCODERS["l1"](200, SIZE)
    encoder.learn(descriptors(3000, seed=9), seed=3)
    photos = descriptors(8, 120)
    cells = torch.ones(1, 120, dtype=torch.bool)
    together, alone = encoder(photos, cells), torch.cat([encoder(photo[None], cells) for photo in photos])
    apart = (together - alone).norm(dim=1) / alone.norm(dim=1)
    assert apart.max() < 0.05


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_nothing_described_is_zero_and_zeros_are_finite(encoding: str) -> None:
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


@pytest.mark.parametrize(
    ("encoding", "size"), [("llc", 24), ("l1", 24), ("omp", 24), ("super-vector", 24 * 11)]
)
def test_sizes_and_counts(encoding: str, size: int) -> None:
    encoder = learned(encoding)
    assert encoder.size == size
    assert encoder.multiply_adds(7) == 7 * 24 * 10
