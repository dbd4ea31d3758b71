"""Learning-rate schedules. All durations are in steps; `make_schedule` converts from epochs."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from alexnet.config import ScheduleConfig

FOUR_PHASES_FACTOR = 250.0
"""First rate divided by the last. Source: 2012 source release, net 170 (`dexp`): 0.01, 0.00158, 0.00025,
0.00004."""


@dataclass
class Schedule:
    """A constant rate, and the base class of all schedules: a linear warm-up from 0, then `_after_warmup`.

    `learning_rate` is a pure function of the step, except in `Plateau`, where `observe` has an effect.
    """

    first_rate: float
    """The rate after the warm-up, before any drop."""
    total_steps: int
    """Number of updates of the whole run."""
    warmup_steps: int = 0

    def learning_rate(self, step: int) -> float:
        """The rate of update number `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.first_rate * ((step + 1) / self.warmup_steps)
        return self._after_warmup(step - self.warmup_steps, max(self.total_steps - self.warmup_steps, 1))

    def phase(self, step: int) -> int:
        """How often the rate has dropped before update `step`; always 0 for rates that change smoothly."""
        return 0

    def observe(self, error: float) -> None:
        """Call it with each validation error, a fraction; only `Plateau` uses it."""

    @property
    def finished(self) -> bool:
        """Whether the run should end before `total_steps`."""
        return False

    def state(self) -> dict[str, Any]:
        """What `load_state` needs to continue a run, as plain values for JSON; empty without a state."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores what `state` returned."""

    def _after_warmup(self, step: int, steps: int) -> float:
        """The rate `step` steps after the warm-up, which is followed by `steps` steps in total."""
        return self.first_rate


@dataclass
class Step(Schedule):
    """The rate is multiplied by `factor` every `drop_steps` steps."""

    drop_steps: int = 1
    factor: float = 0.1

    def phase(self, step: int) -> int:
        """Drops so far; the warm-up does not count."""
        return max(step - self.warmup_steps, 0) // self.drop_steps

    def _after_warmup(self, step: int, steps: int) -> float:
        return self.first_rate * self.factor ** (step // self.drop_steps)


@dataclass
class Milestones(Schedule):
    """The rate is multiplied by `factor` at each of `drops`, ascending numbers of steps after the warm-up."""

    drops: tuple[int, ...] = ()
    factor: float = 0.1

    def phase(self, step: int) -> int:
        """Drops so far."""
        return bisect_right(self.drops, step - self.warmup_steps)

    def _after_warmup(self, step: int, steps: int) -> float:
        return self.first_rate * self.factor ** bisect_right(self.drops, step)


@dataclass
class Cosine(Schedule):
    """Half a cosine from the first rate to `min_lr_ratio` times that rate."""

    min_lr_ratio: float = 0.0

    def _after_warmup(self, step: int, steps: int) -> float:
        share = 0.5 + 0.5 * math.cos(math.pi * step / steps)
        return self.first_rate * (self.min_lr_ratio + (1.0 - self.min_lr_ratio) * share)


@dataclass
class FourPhase(Schedule):
    """Four phases of equal length; the rate falls by the same factor each time, by 250 in total."""

    def phase(self, step: int) -> int:
        """0 to 3, and 3 from `total_steps` on."""
        steps = max(self.total_steps - self.warmup_steps, 1)
        return min(4 * max(step - self.warmup_steps, 0) // steps, 3)

    def _after_warmup(self, step: int, steps: int) -> float:
        return self.first_rate * FOUR_PHASES_FACTOR ** (-min(4 * step // steps, 3) / 3)


@dataclass
class Plateau(Schedule):
    """The rate is multiplied by `factor` when the validation error stops falling; the only schedule with a
    state.

    An error is an improvement if it is at least `min_improvement` below the best; `patience` errors in a row
    without an improvement are a plateau. The rate drops at up to `max_drops` plateaus; one more ends the run.
    Source: paper, section 5: divided by 10 "when the validation error rate stopped improving", three times.
    """

    factor: float = 0.1
    patience: int = 5
    min_improvement: float = 0.002
    max_drops: int = 3
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)
    plateaus: int = field(default=0, init=False)

    def phase(self, step: int) -> int:
        """Drops so far."""
        return min(self.plateaus, self.max_drops)

    @property
    def finished(self) -> bool:
        """Whether there were more plateaus than drops."""
        return self.plateaus > self.max_drops

    def observe(self, error: float) -> None:
        """Drops the rate or ends the run if this error completes a plateau."""
        if error <= self.best - self.min_improvement:
            self.best, self.waited = error, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.plateaus, self.waited = self.plateaus + 1, 0

    def state(self) -> dict[str, Any]:
        """Best error (None before the first), number of errors since then, number of plateaus."""
        best = None if math.isinf(self.best) else self.best
        return {"best": best, "waited": self.waited, "plateaus": self.plateaus}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores what `state` returned."""
        self.best = math.inf if state["best"] is None else state["best"]
        self.waited, self.plateaus = state["waited"], state["plateaus"]

    def _after_warmup(self, step: int, steps: int) -> float:
        return self.first_rate * self.factor ** self.phase(step)


def make_schedule(
    config: ScheduleConfig, first_rate: float, steps_per_epoch: int, total_steps: int | None = None
) -> Schedule:
    """The schedule of a run of `config.epochs` epochs of `steps_per_epoch` updates.

    With `total_steps`, the updates of the whole run, all durations are stretched or compressed to these.
    `first_rate` is the rate after the warm-up, above 0; the warm-up ends before the last update.
    """
    # Without `total_steps` a whole number, so that all durations are those of the recipe.
    epoch = steps_per_epoch if total_steps is None else total_steps / config.epochs
    total_steps = config.epochs * steps_per_epoch if total_steps is None else total_steps
    warmup_steps = min(round(config.warmup_epochs * epoch), total_steps - 1)
    match config.name:
        case "constant":
            return Schedule(first_rate, total_steps, warmup_steps)
        case "step":
            drop_steps = max(1, round(config.step_epochs * epoch))
            return Step(first_rate, total_steps, warmup_steps, drop_steps, config.factor)
        case "milestones":
            drops = tuple(max(1, round(number * epoch)) for number in config.milestones)
            return Milestones(first_rate, total_steps, warmup_steps, drops, config.factor)
        case "cosine":
            return Cosine(first_rate, total_steps, warmup_steps, config.min_lr_ratio)
        case "four-phase":
            return FourPhase(first_rate, total_steps, warmup_steps)
        case "plateau":
            return Plateau(
                first_rate,
                total_steps,
                warmup_steps,
                factor=config.factor,
                patience=config.patience_epochs,
                min_improvement=config.min_improvement,
                max_drops=config.max_drops,
            )
