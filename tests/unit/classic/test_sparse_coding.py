"""Sparse codes compared with reference implementations and scikit-learn's `sparse_encode` on the same
dictionary."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import sparse_encode

from alexnet.classic import sparse_coding
from alexnet.classic.sparse_coding import lasso
from tests.reference import codes as slow


def unit_rows(count: int, size: int, seed: int) -> torch.Tensor:
    rows = torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows += rows.mean()
    return rows / rows.norm(dim=1, keepdim=True)


def objective(codes: torch.Tensor, descriptors: torch.Tensor, atoms: torch.Tensor, penalty: float):
    return (descriptors - codes @ atoms).square().sum(1) / 2 + penalty * codes.abs().sum(1)


@pytest.mark.parametrize("penalty", [0.05, 0.15, 0.5])
def test_lasso_is_scikit_learns(penalty: float) -> None:
    descriptors, atoms = unit_rows(60, 32, 0), unit_rows(256, 32, 1)
    ours = lasso(descriptors, atoms, penalty, 1e-8).dense(256)
    theirs = sparse_encode(
        descriptors.numpy(), atoms.numpy(), algorithm="lasso_cd", alpha=penalty, max_iter=100_000
    )
    theirs = torch.from_numpy(theirs)
    excess = objective(ours, descriptors, atoms, penalty) - objective(theirs, descriptors, atoms, penalty)
    assert excess.max() < 1e-7
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


def test_lasso_is_coordinate_descent_by_loops() -> None:
    descriptors, atoms = unit_rows(8, 6, 2), 1.7 * unit_rows(10, 6, 3)
    ours = lasso(descriptors, atoms, 0.1, 1e-12).dense(10)
    for found, descriptor in zip(ours, descriptors, strict=True):
        expected = slow.lasso_by_coordinates(descriptor.numpy(), atoms.numpy(), 0.1)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_lasso_keeps_its_promise_on_the_gap(tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_coding, "CODES_AT_ONCE", 64)
    descriptors, atoms = unit_rows(150, 24, 4).float(), unit_rows(100, 24, 5).float()
    found, best = (
        objective(
            lasso(descriptors.to(kind), atoms.to(kind), 0.1, gap).dense(100).float(), descriptors, atoms, 0.1
        )
        for kind, gap in ((torch.float32, tolerance), (torch.float64, 1e-7))
    )
    assert (found - best).max() <= tolerance + 1e-6


def test_a_large_penalty_and_zeros_give_zeros() -> None:
    atoms = unit_rows(40, 8, 6)
    assert not lasso(unit_rows(5, 8, 7), atoms, 1.01).dense(40).any()
    assert not lasso(torch.zeros(5, 8, dtype=torch.float64), atoms, 0.1).dense(40).any()
    assert lasso(torch.zeros(0, 8), atoms.float(), 0.1).dense(40).shape == (0, 40)


def test_a_penalty_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        lasso(torch.ones(1, 2), torch.eye(2), 0.0)


def test_codes_add_up_to_the_descriptors() -> None:
    descriptors, atoms = unit_rows(9, 12, 13).float(), unit_rows(40, 12, 14).float()
    codes = lasso(descriptors, atoms, 1e-3)
    torch.testing.assert_close(codes.reconstructed(atoms), codes.dense(40) @ atoms)
    torch.testing.assert_close(codes.reconstructed(atoms), descriptors, atol=0.05, rtol=0)
