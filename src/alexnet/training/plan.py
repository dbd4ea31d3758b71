"""All durations of a run in steps, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.config import RunConfig
from alexnet.errors import CommandError


@dataclass(frozen=True)
class Plan:
    """When what happens; steps count updates, `step` of them being done."""

    steps_per_epoch: int
    total_steps: int
    validate_every_steps: int
    log_every_steps: int

    def epoch_of(self, step: int) -> int:
        """The epoch that update `step` (from 0) belongs to."""
        return step // self.steps_per_epoch

    def logs(self, step: int) -> bool:
        """Whether a line of the log is due after `step` updates."""
        return step % self.log_every_steps == 0 or self.validates(step)

    def validates(self, step: int) -> bool:
        """Whether the validation images are tested after `step` updates."""
        return step > 0 and (step % self.validate_every_steps == 0 or step == self.total_steps)


def make_plan(config: RunConfig, images: int, processes: int = 1) -> Plan:
    """The plan for a training split of `images` images; CommandError where they do not fill one batch.

    An epoch leaves out the images that do not fill a last batch.
    """
    batch, pieces = config.training.batch, config.training.accumulation * processes
    if images < batch:
        raise CommandError(
            f"training.batch={batch} is more than the {images} training images: type training.batch={images}"
        )
    if batch < pieces:
        raise CommandError(
            f"training.batch={batch} cannot be shared out to {processes} processes in "
            f"{config.training.accumulation} micro-batches each: type training.batch={pieces} or more"
        )
    steps_per_epoch = images // batch
    return Plan(
        steps_per_epoch=steps_per_epoch,
        total_steps=steps_per_epoch * config.schedule.epochs,
        validate_every_steps=steps_per_epoch * config.training.evaluate_every_epochs,
        log_every_steps=config.training.log_every_steps,
    )
