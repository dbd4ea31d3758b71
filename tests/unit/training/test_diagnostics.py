from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from alexnet.training import diagnostics
from alexnet.training.diagnostics import Signals, StuckRun


@given(st.integers(2, 10_000))
def test_stuck_is_within_one_percent_of_chance(classes: int) -> None:
    chance = math.log(classes)
    assert diagnostics.is_stuck(chance, chance)
    assert diagnostics.is_stuck(1.2 * chance, chance)
    assert diagnostics.is_stuck(0.991 * chance, chance)
    assert not diagnostics.is_stuck(0.989 * chance, chance)


def test_patience_is_two_epochs_within_reason() -> None:
    assert [diagnostics.patience_steps(steps) for steps in (3, 300, 10_009)] == [200, 600, 2000]


def test_entropy() -> None:
    assert diagnostics.entropy([3, 3, 3]) == 0
    assert diagnostics.entropy(np.arange(100) % 10) == pytest.approx(math.log(10))


@pytest.mark.parametrize("classes", [3, 10, 1000])
def test_shuffled_labels_are_not_ordered_and_sorted_ones_are(classes: int) -> None:
    labels = np.repeat(np.arange(classes), 200)
    for seed in range(20):
        first = np.random.default_rng(seed).permutation(labels)[: 20 * 128]
        assert not diagnostics.is_ordered(first, labels)
    assert diagnostics.is_ordered(labels[: 20 * 128] if classes == 1000 else labels[: 2 * classes], labels)


def test_too_few_images_are_not_called_ordered() -> None:
    assert not diagnostics.is_ordered([0, 0, 0], np.repeat(np.arange(10), 5))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(4 * 36, 5)
    )


def test_measuring_changes_nothing() -> None:
    model = net().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    diagnostics.measure(model, torch.randn(6, 3, 8, 8), torch.eye(5)[torch.arange(6) % 5])
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_measures_every_layer() -> None:
    model = net()
    images = 60 * torch.randn(64, 3, 8, 8)
    signals = diagnostics.measure(model, images, torch.eye(5)[torch.arange(64) % 5])
    assert signals.input_deviation == pytest.approx(60, rel=0.05)
    assert set(signals.activations) == set(signals.gradients) == {"0", "5"}
    assert signals.activations["0"] == pytest.approx(model[0](images).square().mean().sqrt().item(), rel=1e-4)
    assert signals.logits_deviation > 0.1


def test_equal_logits_have_no_deviation() -> None:
    model = net()
    model[5].weight.data.zero_()
    assert diagnostics.measure(model, torch.randn(6, 3, 8, 8), torch.full((6, 5), 0.2)).logits_deviation == 0


@pytest.mark.parametrize(
    ("deviation", "flat", "entropy", "usual", "rate", "reason"),
    [
        (1.0, True, 2.3, 2.3, 0.01, "gray levels of 0..255"),
        (60.0, True, 2.3, 2.3, 0.01, "initial weights are too small"),
        (60.0, False, 0.2, 2.3, 0.01, "are the images shuffled"),
        (60.0, False, 0.2, 0.2, 0.01, "no single cause"),  # nearly all images are of one class
        (60.0, False, 2.3, 2.3, 0.1, "rate is high"),
        (60.0, False, 2.3, 2.3, 1e-5, "rate is low"),
        (60.0, False, 2.3, 2.3, 0.01, "no single cause"),
    ],
)
def test_the_diagnosis_names_what_was_measured_and_why(
    deviation: float, flat: bool, entropy: float, usual: float, rate: float, reason: str
) -> None:
    signals = Signals(deviation, 1e-6 if flat else 0.1, {"conv1": 3.0}, {"conv1": 1e-3})
    run = StuckRun(
        step=400,
        loss=2.30,
        chance=math.log(10),
        learning_rate=rate,
        label_entropy=entropy,
        usual_entropy=usual,
        signals=signals,
    )
    line = run.diagnosis()
    assert reason in line
    assert "\n" not in line
    for part in ("after 400 updates", "2.3000", "chance (2.3026)", f"learning rate {rate:g}", "conv1 3"):
        assert part in line
