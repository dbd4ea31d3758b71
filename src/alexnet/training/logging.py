"""Logging of updates: means since the last line, and warnings if they look bad."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from alexnet.text import counted, percentage
from alexnet.training import advice, diagnostics
from alexnet.training.pace import Pace
from alexnet.training.plan import Plan
from alexnet.training.step import Reading
from alexnet.training.train_state import TrainState

STARVING_READINGS = 3
"""Number of readings in a row in which the model waits for images before a warning is given."""


class TrainingLog:
    """Logs one reading of the meter after the other.

    `labels` are those of all training images; `event(name, **values)` writes a line of the metrics, `log` a
    readable line.
    """

    def __init__(
        self,
        state: TrainState,
        steps_per_epoch: int,
        labels: npt.NDArray[np.int32],
        event: Callable[..., None],
        log: Callable[[str], None],
    ):
        self._state, self._labels, self._event, self._log = state, labels, event, log
        self._starving_readings, self._has_planned, self._has_compared_validation = 0, False, False
        self._next_loss_check = diagnostics.patience_steps(steps_per_epoch)

    def record(
        self,
        reading: Reading,
        step: int,
        plan: Plan,
        seconds: float,
        last_batch: Callable[[], tuple[Tensor, Tensor]],
    ) -> None:
        """Writes the means after `step` updates and `seconds` of training, and warns if they look bad.

        `last_batch()` returns the inputs and targets of the last update.
        """
        left = plan.images(plan.total_steps - step)
        self._event(
            "train",
            loss=reading.loss,
            error=reading.error,
            learning_rate=self._learning_rate(step),
            images_per_second=reading.images_per_second,
            data_wait_share=reading.data_wait_share,
            seconds=seconds,
            eta_seconds=left / reading.images_per_second,
        )
        self._check_loader(reading)
        self._check_order(reading, step <= plan.log_every_steps)
        self._check_loss(reading, step, last_batch)

    def record_plan(self, pace: Pace, plan: Plan, step: int, from_random: bool) -> None:
        """Reports, with `schedule.minutes`, the updates planned after `step`; warns if the run takes long, or
        if it starts from random weights (`from_random`) and makes few updates.
        """
        config = self._state.config
        if config.schedule.minutes:
            now = "now " if self._has_planned else ""
            self._log(f"{now}planned: {counted(plan.total_steps, 'update')}, {advice.describe_pace(pace)}")
        if not self._has_planned:
            self._has_planned = True
            self._warn_of(advice.long_run(pace.seconds_left(plan, step)))
            if config.schedule.minutes and from_random:
                self._warn_of(advice.few_updates(config, plan.total_steps))

    def check_validation(self, pace: Pace, plan: Plan, step: int) -> None:
        """Warns once if validation takes more time than training."""
        if not self._has_compared_validation and pace.update_seconds:
            self._has_compared_validation = True
            self._warn_of(advice.costly_validation(pace, plan, step, self._state.config.training))

    def _check_loader(self, reading: Reading) -> None:
        starving = diagnostics.is_starving(reading.data_wait_share)
        self._starving_readings = self._starving_readings + 1 if starving else 0
        if self._starving_readings == STARVING_READINGS:
            self._warn_of(
                f"the model waits for images {100 * reading.data_wait_share:.0f} % of the time: "
                "prepare a raw store (--encoding raw), or use more cores for this process"
            )

    def _check_order(self, reading: Reading, is_first: bool) -> None:
        """Checks once, at the first reading of a run, that classes are mixed."""
        if is_first and diagnostics.is_ordered(self._labels[reading.indices.numpy()], self._labels):
            self._warn_of("the first batches contain only a few of the classes: the images are not shuffled")

    def _check_loss(
        self, reading: Reading, step: int, last_batch: Callable[[], tuple[Tensor, Tensor]]
    ) -> None:
        """Checks the loss when it should have fallen, and again each time the run is twice as long."""
        if step < self._next_loss_check:
            return
        self._next_loss_check = 2 * step
        state = self._state
        chance = state.task.loss.at_chance(len(state.classes))
        if not diagnostics.is_stuck(reading.loss, chance):
            return
        images, targets = last_batch()
        stuck = diagnostics.StuckRun(
            step=step,
            loss=reading.loss,
            chance=chance,
            learning_rate=self._learning_rate(step),
            label_entropy=diagnostics.entropy(self._labels[reading.indices.numpy()]),
            usual_entropy=diagnostics.entropy(self._labels),
            signals=diagnostics.measure(state.model, images, targets, state.task.loss.mean),
        )
        self._warn_of(stuck.diagnosis())

    def _learning_rate(self, step: int) -> float:
        """Learning rate of the last of `step` updates."""
        return self._state.schedule.learning_rate(step - 1)

    def _warn_of(self, text: str) -> None:
        """Writes a warning to the metrics, and as a readable line; nothing if it is empty."""
        if text:
            self._event("warning", text=text)
            self._log(f"warning: {text}")


def describe_reading(reading: Reading) -> str:
    """A reading as text for the progress bar."""
    parts = [
        f"loss {reading.loss:.3f}",
        f"error {percentage(reading.error)}",
        f"{reading.images_per_second:,.0f}/s without validation",
        f"waiting for images {100 * reading.data_wait_share:.0f} %",
    ]
    return ", ".join(parts)
