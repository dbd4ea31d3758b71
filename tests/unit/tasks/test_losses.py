from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference.lenet import equation_9
from torch.nn import functional

from alexnet.models.lenet import class_codes
from alexnet.tasks.classification import LOSSES, REJECTION_DISTANCE, rbf, soft_targets, squared_error


def drawn(images: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, classes, (images,), generator=generator)


@given(st.integers(1, 5), st.integers(2, 12), st.floats(0, 60), st.integers(0, 1000))
def test_rbf_is_equation_9(images: int, classes: int, largest: float, seed: int) -> None:
    logits, labels = drawn(images, classes, seed)
    distances = logits.abs() * largest
    expected = sum(
        equation_9(row.numpy(), int(label), REJECTION_DISTANCE)
        for row, label in zip(distances, labels, strict=True)
    )
    found = rbf(-distances, soft_targets(labels, classes, 0.0).double())
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_distances_that_are_large_are_not_pushed_up() -> None:
    logits = torch.tensor([[-0.1, -2.0, -90.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(rbf(logits, torch.tensor([[1.0, 0.0, 0.0]])), logits)
    near, far = gradient[0, 1].item(), gradient[0, 2].item()
    assert near > 0.05 > 1e-12 > far
    assert gradient[0, 0] < 0


def test_targets_of_squared_error_are_1_and_minus_1() -> None:
    outputs = torch.tensor([[1.0, -1.0, -1.0], [0.0, 0.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert squared_error(outputs[:1], targets[:1]).item() == 0
    assert squared_error(outputs, targets).item() == pytest.approx(1)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_and_the_mean(name: str) -> None:
    logits, labels = drawn(3, 5, 1)
    logits.requires_grad_()
    targets = soft_targets(labels, 5, 0.1).double()
    loss = LOSSES[name]
    assert torch.autograd.gradcheck(lambda values: loss.forward(values, targets), (logits,))
    assert loss.mean(logits, targets).item() == pytest.approx(loss.forward(logits, targets).item() / 3)


@pytest.mark.parametrize("name", LOSSES)
def test_a_mixed_images_loss_is_the_mean_of_the_two_up_to_a_constant(name: str) -> None:
    """So that smoothing and mixup mean the same with every loss."""
    loss = LOSSES[name].forward
    one, other = torch.eye(4, dtype=torch.float64)[:2]
    mixed = 0.3 * one + 0.7 * other
    logits, _ = drawn(2, 4, 2)

    def gap(row: torch.Tensor) -> float:
        pair = 0.3 * loss(row[None], one[None]) + 0.7 * loss(row[None], other[None])
        return float(pair - loss(row[None], mixed[None]))

    assert gap(logits[0]) == pytest.approx(gap(logits[1]), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_no_constant_output_is_better_than_chance(classes: int) -> None:
    labels = torch.arange(classes)
    targets = soft_targets(labels, classes, 0.0)
    best = {
        "cross-entropy": torch.zeros(classes),
        "squared-error": torch.full((classes,), 2.0 / classes - 1.0),
    }
    for name, scores in best.items():
        found = LOSSES[name].mean(scores.expand(classes, -1), targets).item()
        assert found == pytest.approx(LOSSES[name].at_chance(classes), rel=1e-4)
    # LeNet-5: no constant output of F6 has a lower loss than the mean of the codes.
    f6 = torch.randn(84).mul(0.1).requires_grad_()
    optimizer = torch.optim.SGD([f6], 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        distances = (f6 - class_codes(classes)).square().sum(dim=1)
        loss = LOSSES["rbf"].mean(-distances.expand(classes, -1), targets)
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(LOSSES["rbf"].at_chance(classes), rel=1e-3)
    assert LOSSES["cross-entropy"].at_chance(classes) == pytest.approx(math.log(classes))


def test_cross_entropy_takes_shares() -> None:
    logits, labels = drawn(6, 4, 3)
    found = LOSSES["cross-entropy"].mean(logits, soft_targets(labels, 4, 0.0).double())
    torch.testing.assert_close(found, functional.cross_entropy(logits, labels))
