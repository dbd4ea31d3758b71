"""Warnings about the settings of a run, each with the setting that fixes it; empty if there is none."""

from __future__ import annotations

import math
import time

from alexnet.classic.config import ClassicConfig
from alexnet.config import RunConfig
from alexnet.optim.config import ScheduleConfig
from alexnet.text import counted, duration, percentage
from alexnet.training.config import TrainingConfig
from alexnet.training.pace import Pace
from alexnet.training.plan import Plan

FEW_UPDATES = 300
"""With fewer updates from random weights, a run is announced with a warning."""
FEW_PHOTOS = 5000
"""With fewer photos, classifiers by least squares are announced for a classic pipeline."""
LONG_WARMUP = 0.2
"""Fraction of the schedule above which a warm-up is too long; those of recipes take 2 to 6 %."""
LONG_RUN_SECONDS, NOTICEABLE_SECONDS = 3600.0, 60.0


def few_updates(config: RunConfig, total_steps: int) -> str:
    """A warning if a run from random weights makes fewer than `FEW_UPDATES` updates, `total_steps`."""
    training = config.training
    if total_steps >= FEW_UPDATES or training.fine_tuning or training.fit_last_layer:
        return ""
    more = "schedule.minutes" if config.schedule.minutes else "schedule.epochs"
    return (
        f"the run makes only {counted(total_steps, 'update')}, too few to learn much: use more {more} or a "
        "smaller training.batch_size"
    )


def few_photos(classic: ClassicConfig, photos: int) -> str:
    """A warning if a classic pipeline's classifiers would be trained by SGD on few photos."""
    if photos >= FEW_PHOTOS or classic.classifier == "least-squares":
        return ""
    return (
        f"{counted(photos, 'photo')} are few for classifiers by SGD with early stopping: "
        "classic.classifier=least-squares is solved exactly and usually has a lower error"
    )


def long_warmup(schedule: ScheduleConfig) -> str:
    """A warning if the learning rate rises for too much of the run."""
    if schedule.warmup_epochs <= LONG_WARMUP * schedule.epochs:
        return ""
    return (
        f"the warm-up takes {schedule.warmup_epochs:g} of {counted(schedule.epochs, 'epoch')}, more than a "
        f"fifth: type schedule.warmup_epochs={schedule.epochs / 20:g}"
    )


def late_milestones(schedule: ScheduleConfig) -> str:
    """A warning if the run ends before some milestones, which count from the end of the warm-up."""
    trained = schedule.epochs - schedule.warmup_epochs
    late = [f"{epoch:g}" for epoch in schedule.milestones if epoch >= trained]
    if not late:
        return ""
    return (
        f"the rate does not fall after epochs {', '.join(late)}, which the run does not reach: set "
        "schedule.milestones with schedule.epochs"
    )


def long_run(seconds: float) -> str:
    """A warning if the rest of the run, `seconds`, takes more than an hour."""
    if seconds <= LONG_RUN_SECONDS:
        return ""
    end = time.strftime("%A %H:%M", time.localtime(time.time() + seconds))
    return (
        f"the run takes about {duration(seconds)}, until {end}: for a shorter one, stop it (Ctrl-C) and "
        "start again with schedule.minutes=30"
    )


def costly_validation(pace: Pace, plan: Plan, step: int, training: TrainingConfig) -> str:
    """A warning if validation takes longer than training, and a noticeable time in the rest of the run."""
    between = pace.update_seconds * plan.validate_every_steps
    remaining = pace.validation_seconds * (plan.total_steps - step) / plan.validate_every_steps
    if pace.validation_seconds <= between or remaining < NOTICEABLE_SECONDS:
        return ""
    epochs = math.ceil(training.evaluate_every_epochs * 5 * pace.validation_seconds / between)
    return (
        f"validation takes {duration(pace.validation_seconds)}, but the training between validations only "
        f"{duration(between)}: type training.evaluate_every_epochs={epochs}"
    )


def early_stop(waited: int, best_error: float) -> str:
    """A line about a run that was stopped early."""
    return (
        f"stopped early: {counted(waited, 'validation')} without an error below {percentage(best_error)}; "
        "to continue, type the same command with --resume and a higher training.patience"
    )


def describe_pace(pace: Pace) -> str:
    """The time of an update and of a validation."""
    tested = f", {duration(pace.validation_seconds)} per validation" if pace.validation_seconds else ""
    return f"{duration(pace.update_seconds)} per update{tested}"
