"""Signs that a run goes nowhere, found early and said in words. Pure functions of what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

STUCK_SHARE = 0.01
"""A loss that has not fallen by this share of that of chance has learned nothing."""
STARVING_SHARE = 0.1
ORDERED_SHARE = 0.8
FLAT_SIGNAL = 1e-4
NORMALIZED_DEVIATION = 5.0


@dataclass(frozen=True)
class Signals:
    """One batch as the net sees it, in evaluation mode."""

    input_deviation: float
    """Of the net's input values; about 60 for photos in gray levels, about 1 for normalized ones."""
    logits_deviation: float
    """Between images, averaged over classes: 0 where the net answers all images alike."""
    activations: dict[str, float]
    """Mean size (root of the mean square) by layer."""
    gradients: dict[str, float]
    """Norm of the gradient divided by that of the weight, by layer."""


def patience_steps(steps_per_epoch: int) -> int:
    """Updates within which the loss should have left ln(classes): two epochs, but 200 to 2,000."""
    return min(max(2 * steps_per_epoch, 200), 2000)


def is_stuck(loss: float, chance: float) -> bool:
    """Whether the mean loss is within 1 % of `chance`, that of a net that knows nothing, or above."""
    return loss >= (1.0 - STUCK_SHARE) * chance


def is_starving(data_wait_share: float) -> bool:
    """Whether the net waits for images more than a tenth of the time."""
    return data_wait_share > STARVING_SHARE


def entropy(labels: ArrayLike) -> float:
    """In nats, of how often each label occurs; ln(classes) where all occur alike."""
    _, counts = np.unique(np.asarray(labels), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def is_ordered(first_labels: ArrayLike, all_labels: ArrayLike) -> bool:
    """Whether the first batches hold far fewer classes than a shuffled split would give them.

    Not known, hence False, where they hold fewer than two images for each class.
    """
    first, everything = np.asarray(first_labels), np.asarray(all_labels)
    enough = len(first) >= 2 * len(np.unique(everything))
    return enough and entropy(first) < ORDERED_SHARE * entropy(everything)


def measure(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> Signals:
    """The signals of one batch; leaves weights, statistics, gradients and mode as they were.

    `loss` is the batch's mean, of logits and targets.
    """
    was_training = model.training
    model.eval()
    activations: dict[str, float] = {}
    hooks = [
        layer.register_forward_hook(_recorder(name, activations)) for name, layer in _weighted_layers(model)
    ]
    with torch.enable_grad():
        logits = model(images).float()
        weights = {name: layer.get_parameter("weight") for name, layer in _weighted_layers(model)}
        found = torch.autograd.grad(loss(logits, targets), list(weights.values()))
    for hook in hooks:
        hook.remove()
    model.train(was_training)
    pairs = zip(weights.items(), found, strict=True)
    return Signals(
        input_deviation=float(images.float().std()),
        logits_deviation=float(logits.detach().std(dim=0).mean()),
        activations=activations,
        gradients={
            name: float(gradient.norm() / weight.detach().norm()) for (name, weight), gradient in pairs
        },
    )


def diagnosis(
    loss: float,
    chance: float,
    num_classes: int,
    step: int,
    learning_rate: float,
    label_entropy: float,
    signals: Signals,
) -> str:
    """One line: what was measured of a run that is stuck, and the likeliest reasons."""
    parts = [
        f"after {step} updates the loss is {loss:.4f}, no better than chance ({chance:.4f})",
        f"learning rate {learning_rate:g}",
        f"input deviation {signals.input_deviation:.3g}",
        f"label entropy {label_entropy:.2f}",
        f"logits' deviation between images {signals.logits_deviation:.2g}",
        f"activations {_listed(signals.activations)}",
        f"gradient/weight {_listed(signals.gradients)}",
        f"likely: {'; '.join(_reasons(num_classes, learning_rate, label_entropy, signals))}",
    ]
    return ", ".join(parts)


def _reasons(num_classes: int, learning_rate: float, label_entropy: float, signals: Signals) -> list[str]:
    flat = signals.logits_deviation < FLAT_SIGNAL
    checks = [
        (
            flat and signals.input_deviation < NORMALIZED_DEVIATION,
            "weak signal: the 2012 initialization expects gray levels of 0..255, "
            "set data.normalization=mean-image or use a variant with another initialization",
        ),
        (
            flat and signals.input_deviation >= NORMALIZED_DEVIATION,
            "weak signal: the first weights are too small for this depth, or units have died",
        ),
        (
            label_entropy < ORDERED_SHARE * math.log(num_classes),
            "the labels of a batch are too much alike: are the images shuffled?",
        ),
        (learning_rate > 0.02, "the learning rate is high for a net without normalization layers"),
        (learning_rate < 1e-4, "the learning rate is low"),
    ]
    reasons = [reason for holds, reason in checks if holds]
    return reasons or ["no single reason shows; try another training.seed or a longer run"]


def _weighted_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [
        (name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]


def _recorder(name: str, sizes: dict[str, float]) -> Callable[[nn.Module, Any, Tensor], None]:
    def record(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        sizes[name] = float(output.detach().float().square().mean().sqrt())

    return record


def _listed(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.2g}" for name, value in values.items())
