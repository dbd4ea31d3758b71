"""The plan of a run: epochs and events converted to steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet.config import RunConfig
from alexnet.errors import CommandError
from alexnet.training.config import Event

NOTICEABLE_FRACTION = 0.05
"""Fraction of the training images that may be left out of each epoch without a line about it."""


@dataclass(frozen=True)
class Plan:
    """The steps of a run. `step` is the number of updates so far."""

    steps_per_epoch: int
    total_steps: int
    validate_every_steps: int
    log_every_steps: int

    def epoch_of(self, step: int) -> int:
        """The epoch that update `step` (from 0) belongs to."""
        return step // self.steps_per_epoch

    def logs(self, step: int) -> bool:
        """Whether the means are logged after `step` updates."""
        return step % self.log_every_steps == 0 or self.validates(step)

    def validates(self, step: int) -> bool:
        """Whether the model is validated after `step` updates."""
        return step > 0 and (step % self.validate_every_steps == 0 or step == self.total_steps)


def make_plan(config: RunConfig, images: int, processes: int = 1) -> Plan:
    """The plan for a training split of `images` images; CommandError if they do not fill one batch.

    Images that do not fill a last batch are left out in each epoch.
    """
    batch, pieces = config.training.batch_size, config.training.grad_accum_steps * processes
    if images < batch:
        raise CommandError(
            f"training.batch_size={batch} is larger than the number of training images, {images}",
            hint=f"type training.batch_size={images}",
        )
    if batch < pieces:
        raise CommandError(
            f"training.batch_size={batch} cannot be divided among {processes} processes in "
            f"{config.training.grad_accum_steps} micro-batches each: "
            f"type training.batch_size={pieces} or more"
        )
    steps_per_epoch = images // batch
    return Plan(
        steps_per_epoch=steps_per_epoch,
        total_steps=steps_per_epoch * config.schedule.epochs,
        validate_every_steps=steps_per_epoch * config.training.evaluate_every_epochs,
        log_every_steps=config.training.log_every_steps,
    )


def describe_left_out(config: RunConfig, images: int, processes: int = 1) -> str:
    """A line about the images that each epoch leaves out, with a batch size that uses nearly all.

    Empty if that is not a noticeable fraction of the `images`.
    """
    batch, pieces = config.training.batch_size, config.training.grad_accum_steps * processes
    if images % batch <= NOTICEABLE_FRACTION * images:
        return ""
    line = f"each epoch uses {images - images % batch:,} of {images:,} images (training.batch_size={batch})"
    # Micro-batches of at least two images, for batch normalization.
    better = (size for size in range(batch - 1, 2 * pieces - 1, -1) if images % size <= images / 100)
    size = next(better, 0)
    if not size:
        return line
    used = f"{images - images % size:,}" if images % size else "all"
    return f"{line}; training.batch_size={size} uses {used}"


def step_of(event: Event, total_steps: int) -> int:
    """The update before which the event happens."""
    return round(event.at * total_steps)


def starting(events: Sequence[Event], step: int, total_steps: int) -> list[Event]:
    """The events that happen just before update `step`."""
    return [event for event in events if step_of(event, total_steps) == step]


def lr_multipliers(events: Sequence[Event], step: int, total_steps: int) -> dict[str, float]:
    """Learning-rate multipliers at update `step`, by layer; the latest event of a layer counts."""
    past = sorted(_past(events, step, total_steps, "layer-factor"), key=lambda event: event.at)
    return {event.layer: event.value for event in past}


def color_noise(events: Sequence[Event], step: int, total_steps: int) -> bool:
    """Whether color noise is on at update `step`."""
    return not _past(events, step, total_steps, "color-noise-off")


def _past(events: Sequence[Event], step: int, total_steps: int, action: str) -> list[Event]:
    return [event for event in events if event.action == action and step_of(event, total_steps) <= step]
