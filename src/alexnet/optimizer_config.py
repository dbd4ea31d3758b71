"""The update rule of a run: its settings, and what they must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class OptimizerConfig:
    """The update rule; rates are those at the start, for the global batch."""

    name: Literal["krizhevsky-sgd", "sgd", "adamw"] = "krizhevsky-sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0005
    bias_learning_rate_factor: float = 2.0
    """Rate of biases (and normalisation gains) divided by the rate of weights."""
    bias_weight_decay: bool = False
    bias_follows_schedule: bool = True
    """False: biases keep their first rate when the weights' changes, also by a layer's factor, as in 2012."""
    layer_factors: tuple[tuple[str, float], ...] = ()
    """`(layer, factor)` pairs: learning-rate factors of single layers; 0 freezes one, biases and all."""
    nesterov: bool = False
    gradient_clip: float = 0.0
    """Largest global norm of the gradient; 0 is off."""


def optimizer_checks(optimizer: OptimizerConfig) -> list[tuple[bool, str]]:
    """(holds, what is wrong where it does not), for `config.validate`."""
    return [
        (optimizer.learning_rate > 0, "optimizer.learning_rate must be above 0"),
        (0 <= optimizer.momentum < 1, "optimizer.momentum must be in [0, 1)"),
        (optimizer.weight_decay >= 0, "optimizer.weight_decay must be at least 0"),
        (
            not optimizer.nesterov or optimizer.name == "sgd",
            "optimizer.nesterov goes with optimizer.name=sgd only",
        ),
    ]
