"""The update rule and the learning rate over time: two sections of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True)
class OptimizerConfig:
    """The update rule; rates are those at the start, for the global batch."""

    name: Literal["krizhevsky-sgd", "sgd", "adamw"] = "krizhevsky-sgd"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0005
    bias_learning_rate_factor: float = 2.0
    """Rate of biases (and normalization gains) divided by the rate of weights."""
    bias_weight_decay: bool = False
    bias_follows_schedule: bool = True
    """False: biases keep their first rate when the weights' changes, also by a layer's factor, as in 2012."""
    lr_multipliers: tuple[tuple[str, float], ...] = ()
    """`(layer, factor)` pairs: learning-rate factors of single layers; 0 freezes one, biases and all."""
    nesterov: bool = False
    gradient_clip: float = 0.0
    """Largest global norm of the gradient; 0 is off."""


def optimizer_checks(optimizer: OptimizerConfig) -> list[tuple[bool, str]]:
    """(holds, what is wrong where it does not), for `config.validate`."""
    return [
        (optimizer.lr > 0, "optimizer.lr must be above 0"),
        (0 <= optimizer.momentum < 1, "optimizer.momentum must be in [0, 1)"),
        (optimizer.weight_decay >= 0, "optimizer.weight_decay must be at least 0"),
        (
            not optimizer.nesterov or optimizer.name == "sgd",
            "optimizer.nesterov goes with optimizer.name=sgd only",
        ),
    ]


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over time; durations in epochs."""

    name: Literal["constant", "step", "milestones", "plateau", "cosine", "four-phase"] = "plateau"
    epochs: int = 90
    warmup_epochs: float = 0.0
    """Linear rise from 0, before any schedule."""
    step_epochs: float = 30.0
    """`step`: epochs between drops."""
    milestones: tuple[float, ...] = ()
    """`milestones`: epochs after which the rate drops."""
    factor: float = 0.1
    """`step`, `milestones` and `plateau`: what a drop multiplies the rate by."""
    patience_epochs: int = 5
    """`plateau`: evaluations without improvement before a drop."""
    min_improvement: float = 0.002
    """`plateau`: smallest fall of the validation error (a fraction) that counts as improvement."""
    max_drops: int = 3
    """`plateau`: drops before the rate stays (three in the paper); one more plateau then ends the run."""
    min_lr_ratio: float = 0.0
    """`cosine`: last rate as a fraction of the first."""


def schedule_checks(schedule: ScheduleConfig) -> list[tuple[bool, str]]:
    """(holds, what is wrong where it does not), for `config.validate`."""
    return [
        (schedule.epochs >= 1, "schedule.epochs must be at least 1"),
        (schedule.warmup_epochs >= 0, "schedule.warmup_epochs must be at least 0"),
        (schedule.step_epochs > 0, "schedule.step_epochs must be above 0"),
        (
            bool(schedule.milestones) == (schedule.name == "milestones"),
            "schedule.milestones and schedule.name=milestones go together: give both or neither",
        ),
        (
            all(a < b for a, b in pairwise((0.0, *schedule.milestones))),
            "schedule.milestones must rise, from above 0",
        ),
        (0 < schedule.factor <= 1, "schedule.factor must be in (0, 1]"),
        (schedule.patience_epochs >= 1, "schedule.patience_epochs must be at least 1"),
    ]
