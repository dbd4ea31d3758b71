"""Signs that a run does not learn, found early and explained. Pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

STUCK_SHARE = 0.01
"""A loss within this fraction of the loss at chance level, or above it, means that nothing was learned."""
STARVING_SHARE = 0.1
"""A model that waits for images for more than this fraction of the time is starving."""
ORDERED_SHARE = 0.8
"""Labels whose entropy is below this fraction of the expected one are not shuffled."""
FLAT_SIGNAL = 1e-4
"""Logits that deviate less than this between images carry no signal."""
NORMALIZED_DEVIATION = 5.0
"""Inputs that deviate less than this are normalized; photos in gray levels deviate by about 60."""


@dataclass(frozen=True)
class Signals:
    """Statistics of one batch in the model, in evaluation mode."""

    input_deviation: float
    """Standard deviation of the inputs: about 60 for photos in gray levels, about 1 for normalized ones."""
    logits_deviation: float
    """Standard deviation between images, averaged over classes: 0 if all images get the same logits."""
    activations: dict[str, float]
    """Root mean square of the output, by layer."""
    gradients: dict[str, float]
    """Norm of the gradient divided by that of the weight, by layer."""


def patience_steps(steps_per_epoch: int) -> int:
    """Number of updates within which the loss should have fallen below ln(classes): two epochs, but 200 to
    2,000.
    """
    return min(max(2 * steps_per_epoch, 200), 2000)


def is_stuck(loss: float, chance: float) -> bool:
    """Whether the mean loss is within 1 % of `chance`, the loss at chance level, or above."""
    return loss >= (1.0 - STUCK_SHARE) * chance


def is_starving(data_wait_share: float) -> bool:
    """Whether the model waits for images more than a tenth of the time."""
    return data_wait_share > STARVING_SHARE


def entropy(labels: ArrayLike) -> float:
    """Entropy in nats of the distribution of labels; ln(classes) if all occur equally often."""
    _, counts = np.unique(np.asarray(labels), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def is_ordered(first_labels: ArrayLike, all_labels: ArrayLike) -> bool:
    """Whether the first batches have far fewer classes than in a shuffled split.

    False if they have fewer than two images per class, which are too few to decide.
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
    """The signals of one batch, for the model in evaluation mode; the model is left unchanged.

    `images` are preprocessed, (N, C, crop, crop), on the model's device. `loss` takes the logits (N, K) and
    `targets` of any form, and returns the mean loss of the batch.
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


@dataclass(frozen=True)
class StuckRun:
    """A run whose loss has not fallen below chance level, with measurements."""

    step: int
    """Number of updates."""
    loss: float
    chance: float
    """The loss at chance level."""
    learning_rate: float
    label_entropy: float
    """Entropy of the labels since the last reading, in nats."""
    usual_entropy: float
    """That of all training labels, as in batches of shuffled images."""
    signals: Signals

    def diagnosis(self) -> str:
        """One line: what was measured, and the likeliest reasons."""
        signals = self.signals
        parts = [
            f"after {self.step} updates the loss is {self.loss:.4f}, "
            f"no better than chance ({self.chance:.4f})",
            f"learning rate {self.learning_rate:g}",
            f"input std {signals.input_deviation:.3g}",
            f"label entropy {self.label_entropy:.2f}",
            f"std of the logits across images {signals.logits_deviation:.2g}",
            f"activations {_listed(signals.activations)}",
            f"gradient/weight {_listed(signals.gradients)}",
            f"likely: {'; '.join(self._reasons())}",
        ]
        return ", ".join(parts)

    def _reasons(self) -> list[str]:
        flat = self.signals.logits_deviation < FLAT_SIGNAL
        normalized = self.signals.input_deviation < NORMALIZED_DEVIATION
        checks = [
            (
                flat and normalized,
                "weak signal: the 2012 initialization expects gray levels of 0..255, "
                "set data.normalization=mean-image or use a variant with another initialization",
            ),
            (
                flat and not normalized,
                "weak signal: the initial weights are too small for this depth, or units have died",
            ),
            (
                self.label_entropy < ORDERED_SHARE * self.usual_entropy,
                "the labels of a batch are too similar: are the images shuffled?",
            ),
            (self.learning_rate > 0.02, "the learning rate is high for a model without normalization layers"),
            (self.learning_rate < 1e-4, "the learning rate is low"),
        ]
        reasons = [reason for holds, reason in checks if holds]
        return reasons or ["no single cause found; try another training.seed or a longer run"]


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
