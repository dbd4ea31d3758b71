"""How long a run takes: what its parts have cost so far, and how many updates fit into the time that is left.

Time is wall-clock time, over all resumes, with validation and checkpoints.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from alexnet.runs.checkpoints import TimeUsed
from alexnet.training.plan import Plan

MEASURED_SECONDS, MEASURED_UPDATES = 3.0, 4
"""An update's time is known after this time and number of updates of a process, or after `MEASURED_SHARE`."""
MEASURED_SHARE = 0.1
"""Fraction of a run's time after which an update's time must be known, however few updates there were."""
MEASURED_AGAIN = 0.05
"""Fraction of a run's time over which the speed must have changed."""
NOTICEABLE_CHANGE = 0.02
"""Relative change of the number of updates that fit into the time, from which on the plan follows it."""
VALIDATION_OF_UPDATE = 1 / 3
"""Time of testing an image divided by that of training with it, until a validation was measured: a forward
pass is a third of an update."""


@dataclass(frozen=True)
class Forecast:
    """How many updates a run will have."""

    total_steps: int
    is_new: bool
    """Whether it is the first one, or differs from the plan because the speed has changed."""


class Pace:
    """The clock of a run, and the time of an update: its mean since `restart`.

    The first update of a process includes start-up and is left out.
    """

    def __init__(self, validation_images: int, clock: Callable[[], float] = time.monotonic):
        """The clock starts now; a validation tests `validation_images` images."""
        self._validation_images, self._clock = validation_images, clock
        self._started = clock()
        self._earlier = 0.0
        self.update_seconds = 0.0
        """Of one update, with its wait for images; 0 while unknown."""
        self.validation_seconds = 0.0
        """Of the last validation; 0 while unknown."""
        self.saving_seconds = 0.0
        """Of the last checkpoint; 0 while unknown."""
        self._knew_validation = True
        """Whether the last forecast knew the time of a validation."""
        self.settled = False
        """Whether the plan follows a forecast, from which only noticeable changes depart."""
        self._updates = 0
        self.restart()

    def restart(self) -> None:
        """Measures the time of updates again, such as where the machine's speed has changed."""
        self._since, self._paused, self._counted = self._clock(), 0.0, 0

    @property
    def used(self) -> float:
        """Seconds of the run so far, over all resumes."""
        return self._earlier + self._clock() - self._started

    def forecast(self, plan: Plan, step: int, budget: float) -> Forecast:
        """The updates that fit into `budget` seconds, of which `step` are made; those of the plan if it is 0.

        Once it has settled, they change with the first validation, and with noticeable changes of the speed.
        """
        is_measured = self._is_measured(budget or math.inf)
        total = self.affordable_steps(plan, step, budget) if budget else plan.total_steps
        if self.settled:
            first_validation = self.validation_seconds > 0 and not self._knew_validation
            is_noticeable = abs(total - plan.total_steps) > NOTICEABLE_CHANGE * plan.total_steps
            is_lasting = self._measured_seconds >= MEASURED_AGAIN * budget
            is_new = is_measured and (first_validation or (is_lasting and is_noticeable))
            return Forecast(total if is_new else plan.total_steps, is_new)
        if self.used < budget:
            total = max(total, step + 1)  # the first times may be too long
        return Forecast(total, is_measured)

    def settle(self) -> None:
        """To be called after a new forecast: later times alone decide about the next one."""
        self.settled, self._knew_validation = True, self.validation_seconds > 0
        self.restart()

    @property
    def _measured_seconds(self) -> float:
        return self._clock() - self._since - self._paused

    def _is_measured(self, budget: float) -> bool:
        seconds, share = self._measured_seconds, MEASURED_SHARE * budget
        enough = self._counted >= MEASURED_UPDATES and seconds >= min(MEASURED_SECONDS, share)
        return enough or (self._counted >= 1 and seconds >= share)

    def updated(self) -> None:
        """To be called after each update."""
        self._updates, self._counted = self._updates + 1, self._counted + 1
        if self._updates == 1:
            self.restart()
        else:
            self.update_seconds = self._measured_seconds / self._counted

    @contextmanager
    def validating(self) -> Generator[None]:
        """Measures a validation."""
        start = self._clock()
        yield
        self.validation_seconds = self._clock() - start
        self._paused += self.validation_seconds

    @contextmanager
    def saving(self) -> Generator[None]:
        """Measures a checkpoint."""
        start = self._clock()
        yield
        self.saving_seconds = self._clock() - start
        self._paused += self.saving_seconds

    def affordable_steps(self, plan: Plan, step: int, budget: float) -> int:
        """Updates of the whole run if it takes `budget` seconds, of which `step` are made.

        At least `step`; `plan.total_steps` while the time of an update is unknown.
        """
        if not self.update_seconds:
            return plan.total_steps
        left = budget - self.used
        candidates = range(step, step + max(0, math.floor(left / self.update_seconds)) + 1)
        return candidates[max(bisect_right(candidates, left, key=self._cost_from(plan, step)) - 1, 0)]

    def seconds_left(self, plan: Plan, step: int) -> float:
        """Seconds from update `step`, and its validation, to the end of the plan."""
        return self._cost_from(plan, step)(plan.total_steps)

    def _cost_from(self, plan: Plan, step: int) -> Callable[[int], float]:
        """A function: updates of the whole run -> seconds from update `step`, and its validation, to the
        end.
        """
        validation = self.validation_seconds or (
            VALIDATION_OF_UPDATE * self.update_seconds * self._validation_images / plan.images_per_update
        )
        every = plan.validate_every_steps

        def cost(total: int) -> float:
            validations = math.ceil(total / every) - max(step - 1, 0) // every
            return (total - step) * self.update_seconds + validations * (validation + self.saving_seconds)

        return cost

    def state(self) -> TimeUsed:
        """The state for `load_state`."""
        return TimeUsed(
            used=self.used,
            update_seconds=self.update_seconds,
            validation_seconds=self.validation_seconds,
            saving_seconds=self.saving_seconds,
        )

    def load_state(self, state: TimeUsed) -> None:
        """Continues after what `state` returned; the times of parts are used until they are measured."""
        self._earlier = state.used
        self.update_seconds = state.update_seconds
        self.validation_seconds, self.saving_seconds = state.validation_seconds, state.saving_seconds
