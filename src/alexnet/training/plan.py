"""The plan of a run: epochs converted to steps."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.config import RunConfig
from alexnet.errors import CommandError
from alexnet.training.config import TrainingConfig

NOTICEABLE_FRACTION = 0.05
"""Fraction of the training images; if an epoch skips more than this, a line reports it."""


@dataclass(frozen=True)
class Plan:
    """The steps of a run. `step` is the number of updates so far."""

    images_per_epoch: int
    """Images that each epoch uses."""
    steps_per_epoch: int
    total_steps: int
    """With `schedule.minutes`, those that fit into the time at the speed measured so far."""
    validate_every_steps: int
    log_every_steps: int

    @property
    def images_per_update(self) -> float:
        """Mean number of images of an update."""
        return self.images_per_epoch / self.steps_per_epoch

    def images(self, steps: int) -> int:
        """Number of images in `steps` updates."""
        return round(steps * self.images_per_update)

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

    With `schedule.minutes` its `total_steps` is that of `schedule.epochs` until the speed is known.
    """
    training = config.training
    batch, pieces = training.batch_size, training.grad_accum_steps * processes
    if images < batch and not keeps_all_images(training, images):
        raise CommandError(
            f"training.batch_size={batch} is larger than the number of training images, {images}",
            hint=f"type training.batch_size={images}, or training.last_batch=keep",
        )
    if smallest_batch(training, images) < pieces:
        raise CommandError(
            f"training.batch_size={batch} cannot be divided among {processes} processes in "
            f"{training.grad_accum_steps} micro-batches each: "
            f"type training.batch_size={pieces if training.last_batch == 'drop' else 2 * pieces} or more"
        )
    steps_per_epoch = _batches(training, images)
    return Plan(
        images_per_epoch=images if keeps_all_images(training, images) else steps_per_epoch * batch,
        steps_per_epoch=steps_per_epoch,
        total_steps=steps_per_epoch * config.schedule.epochs,
        validate_every_steps=steps_per_epoch * training.evaluate_every_epochs,
        log_every_steps=training.log_every_steps,
    )


def keeps_all_images(training: TrainingConfig, images: int) -> bool:
    """Whether each epoch uses all images, in batches of nearly the same size (`training.last_batch`)."""
    if training.last_batch == "auto":
        return images % training.batch_size > NOTICEABLE_FRACTION * images
    return training.last_batch == "keep"


def smallest_batch(training: TrainingConfig, images: int) -> int:
    """Number of images in the smallest batch of an epoch."""
    if keeps_all_images(training, images):
        return images // _batches(training, images)
    return training.batch_size


def _batches(training: TrainingConfig, images: int) -> int:
    whole, rest = divmod(images, training.batch_size)
    return whole + (rest > 0 and keeps_all_images(training, images))


def describe_batches(training: TrainingConfig, images: int) -> str:
    """A line about batches that are smaller than `training.batch_size`, or images that each epoch skips.

    Empty if there is neither, or if at most `NOTICEABLE_FRACTION` of the `images` is skipped.
    """
    batch = training.batch_size
    if keeps_all_images(training, images):
        smallest, largest = smallest_batch(training, images), -(-images // _batches(training, images))
        if largest == batch:
            return ""
        sizes = f"{smallest}" if smallest == largest else f"{smallest} or {largest}"
        return (
            f"batches of {sizes} images instead of {batch}, so that each epoch uses all {images:,} "
            f"(training.last_batch={training.last_batch})"
        )
    if images % batch <= NOTICEABLE_FRACTION * images:
        return ""
    return (
        f"each epoch uses {images - images % batch:,} of {images:,} images (training.batch_size={batch}); "
        "training.last_batch=keep uses all"
    )
