"""The part of a run's configuration that says how the learning rate changes over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over time; durations in epochs."""

    name: Literal["constant", "step", "milestones", "plateau", "cosine", "four-phase"] = "plateau"
    epochs: int = 90
    warmup_epochs: float = 0.0
    """Linear rise from 0, before any schedule."""
    step_epochs: float = 30.0
    """`step`: epochs between drops."""
    drop_epochs: tuple[float, ...] = ()
    """`milestones`: epochs after which the rate drops."""
    factor: float = 0.1
    """`step`, `milestones` and `plateau`: what a drop multiplies the rate by."""
    patience_epochs: int = 5
    """`plateau`: evaluations without improvement before a drop."""
    min_improvement: float = 0.002
    """`plateau`: smallest fall of the validation error (a fraction) that counts as improvement."""
    max_drops: int = 3
    """`plateau`: drops before the rate stays (three in the paper); one more plateau then ends the run."""
    final_fraction: float = 0.0
    """`cosine`: last rate as a fraction of the first."""


def schedule_checks(schedule: ScheduleConfig) -> list[tuple[bool, str]]:
    """(holds, what is wrong where it does not), for `config.validate`."""
    return [
        (schedule.epochs >= 1, "schedule.epochs must be at least 1"),
        (schedule.warmup_epochs >= 0, "schedule.warmup_epochs must be at least 0"),
        (schedule.step_epochs > 0, "schedule.step_epochs must be above 0"),
        (
            bool(schedule.drop_epochs) == (schedule.name == "milestones"),
            "schedule.drop_epochs and schedule.name=milestones go together: give both or neither",
        ),
        (
            all(a < b for a, b in pairwise((0.0, *schedule.drop_epochs))),
            "schedule.drop_epochs must rise, from above 0",
        ),
        (0 < schedule.factor <= 1, "schedule.factor must be in (0, 1]"),
        (schedule.patience_epochs >= 1, "schedule.patience_epochs must be at least 1"),
    ]
