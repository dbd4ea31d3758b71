"""Two sections of a configuration: the update rule, and the learning rate over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from alexnet.serialization import Range, range_checks


@dataclass(frozen=True)
class OptimizerConfig:
    """The update rule; learning rates are initial ones, for the global batch."""

    name: Literal["krizhevsky-sgd", "sgd", "adamw"] = "krizhevsky-sgd"
    """The 2012 update rule (paper, section 5), torch's SGD, or AdamW."""
    lr: Annotated[float, Range(above=0)] = 0.01
    """Initial learning rate of the weights."""
    momentum: Annotated[float, Range(at_least=0, below=1)] = 0.9
    """Momentum of both kinds of SGD, and beta1 of AdamW, whose beta2 is 0.999 and whose eps is 1e-8."""
    weight_decay: Annotated[float, Range(at_least=0)] = 0.0005
    """Weight decay of the weights; AdamW's is decoupled."""
    bias_lr_multiplier: Annotated[float, Range(at_least=0)] = 2.0
    """Ratio of the learning rate of biases and normalization gains to that of weights."""
    bias_weight_decay: bool = False
    """Whether biases (and normalization gains) decay as well."""
    bias_follows_schedule: bool = True
    """Whether the rate of biases changes with that of the weights, and by a layer's multiplier; in 2012 it
    kept its initial value."""
    bias_lr_multipliers: tuple[tuple[str, float], ...] = ()
    """`(layer, factor)` pairs: factors of single layers' biases, in addition to `bias_lr_multiplier`."""
    lr_multipliers: tuple[tuple[str, float], ...] = ()
    """`(layer, factor)` pairs: learning-rate multipliers of single layers; 0 freezes a layer with its
    biases."""
    nesterov: bool = False
    """`sgd`: Nesterov momentum; needs `momentum` above 0."""
    gradient_clip: Annotated[float, Range(at_least=0)] = 0.0
    """Largest global norm of the gradient; 0 is off."""


def optimizer_checks(optimizer: OptimizerConfig) -> list[tuple[bool, str]]:
    """Pairs of a condition and the message if it does not hold, for `config.validate`."""
    return [
        *range_checks(optimizer, "optimizer."),
        (
            not optimizer.nesterov or optimizer.name == "sgd",
            "optimizer.nesterov needs optimizer.name=sgd",
        ),
        (
            not optimizer.nesterov or optimizer.momentum > 0,
            "optimizer.nesterov needs optimizer.momentum above 0, such as optimizer.momentum=0.9",
        ),
        *(
            (factor >= 0, f"optimizer.{key}: the factor of {layer} is {factor:g}, but it must be at least 0")
            for key in ("lr_multipliers", "bias_lr_multipliers")
            for layer, factor in getattr(optimizer, key)
        ),
    ]


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over time; durations in epochs."""

    name: Literal["constant", "step", "milestones", "plateau", "cosine", "four-phase"] = "plateau"
    """How the rate falls: not at all, every `step_epochs`, after each of `milestones`, when the validation
    error stops falling, as a cosine, or in four phases as in 2014."""
    epochs: Annotated[int, Range(at_least=0)] = 90
    """Passes through the training images; 0 needs `training.fit_last_layer`."""
    minutes: Annotated[float, Range(at_least=0)] = 0.0
    """Minutes that the run takes, with validation and checkpoints, over all resumes; 0 is as many as `epochs`
    take. Otherwise the machine's speed decides the number of updates, and durations in epochs are shares of
    `epochs`: with `epochs=90` and `warmup_epochs=9` a tenth of the time is warm-up."""
    warmup_epochs: Annotated[float, Range(at_least=0)] = 0.0
    """Epochs of a linear rise from 0, before any schedule."""
    step_epochs: Annotated[float, Range(above=0)] = 30.0
    """`step`: epochs between drops, counted from the end of the warm-up."""
    milestones: tuple[float, ...] = ()
    """`milestones`: epochs after which the rate drops, counted from the end of the warm-up; ascending and
    above 0."""
    factor: Annotated[float, Range(above=0, at_most=1)] = 0.1
    """`step`, `milestones` and `plateau`: what a drop multiplies the rate by."""
    patience_epochs: Annotated[int, Range(at_least=1)] = 5
    """`plateau`: evaluations without improvement before a drop."""
    min_improvement: Annotated[float, Range(at_least=0)] = 0.002
    """`plateau`: smallest decrease of the validation error (a fraction) that counts as an improvement."""
    max_drops: Annotated[int, Range(at_least=0)] = 3
    """`plateau`: number of drops (three in the paper); one more plateau then ends the run."""
    min_lr_ratio: Annotated[float, Range(at_least=0, at_most=1)] = 0.0
    """`cosine`: the final rate as a fraction of the initial one."""


def schedule_checks(schedule: ScheduleConfig) -> list[tuple[bool, str]]:
    """Pairs of a condition and the message if it does not hold, for `config.validate`."""
    return [
        *range_checks(schedule, "schedule."),
        (
            schedule.epochs >= 1 or not schedule.minutes,
            "schedule.minutes needs schedule.epochs=1 or more, of which other durations are shares",
        ),
        (
            bool(schedule.milestones) == (schedule.name == "milestones"),
            "schedule.milestones and schedule.name=milestones need each other: type both or neither",
        ),
        (
            all(a < b for a, b in pairwise((0.0, *schedule.milestones))),
            "schedule.milestones must be ascending and above 0",
        ),
    ]
