"""Dropout's equivalences: halving at test time and the inverted form; ridge regression for a linear model."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from scipy import optimize

from alexnet.errors import WorkError
from alexnet.experiments.measures import (
    inverted,
    minimum_under_dropout,
    probabilities_apart,
    ridge,
    weights_apart,
)
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS

MODEL = replace(
    ALEXNET_VARIANTS["2012"], widths=(8, 16, 24, 24, 16, 32, 32), initialization="kaiming-convolutions"
)


def model(dropout: float, form: Literal["mask", "inverted"] = "mask") -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(replace(MODEL, dropout_form=form), 5, 64, dropout).eval()


def images(count: int) -> torch.Tensor:
    return 50 * torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dropout", [0.5, 0.3])
def test_scaling_at_test_time_is_the_inverted_form(dropout: float) -> None:
    assert probabilities_apart(model(dropout), images(8)) < 1e-5


def test_the_inverted_form_does_nothing_at_test_time() -> None:
    twin = inverted(model(0.5)).eval()
    assert not any("MaskDropout" in type(step).__name__ for step in twin.modules())
    # Without the smaller weights the outputs differ: there is something to compare.
    original = model(0.5)
    twin.load_state_dict(original.state_dict())
    with torch.no_grad():
        assert (twin(images(8)) - original(images(8))).abs().max() > 1e-2


def test_a_model_without_halving_dropout_is_refused() -> None:
    with pytest.raises(WorkError, match="no dropout"):
        inverted(model(0.5, "inverted"))


@pytest.mark.parametrize("kept", [0.5, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_dropout_of_a_linear_model_is_ridge_regression(kept: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs, targets = random.normal(size=(12, 5)) * random.uniform(0.2, 3, 5), random.normal(size=12)
    assert weights_apart(inputs, targets, kept) < 1e-12
    # Not the same as none, and not plain L2.
    plain = np.linalg.lstsq(inputs, targets, rcond=None)[0] / kept
    assert np.linalg.norm(plain - ridge(inputs, targets, kept)) > 1e-3


def test_its_minimum_is_that_of_the_expected_error_by_sampling() -> None:
    random = np.random.default_rng(0)
    inputs, targets = random.normal(size=(10, 3)), random.normal(size=10)
    masks = (random.random((20_000, 10, 3)) < 0.5) * inputs

    def expected(weights: np.ndarray) -> float:
        return float(((targets - masks @ weights) ** 2).sum(1).mean())

    found = optimize.minimize(expected, np.zeros(3)).x
    assert found == pytest.approx(minimum_under_dropout(inputs, targets, 0.5), abs=0.02)
