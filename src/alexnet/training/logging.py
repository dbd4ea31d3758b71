"""A line of the log: what was measured since the last one, and a bark where it looks bad."""

from __future__ import annotations

from alexnet.data.loader import Batch
from alexnet.training import diagnostics
from alexnet.training.session import Session
from alexnet.training.step import Reading, training_batch

STARVING_READINGS = 3
"""So many in a row that find the net waiting for images are a warning."""


def record(session: Session, batch: Batch, epoch: int, color_noise: bool) -> str:
    """Logs the means since the last line and warns where they look bad; returns them in words.

    `batch`, of `epoch`, is one that the net has just seen. WorkError where a loss was not finite.
    """
    reading = session.meter.read()
    left = (session.plan.total_steps - session.step) * session.config.training.batch_size
    session.log(
        "train",
        loss=reading.loss,
        error=reading.error,
        learning_rate=_learning_rate(session),
        images_per_second=reading.images_per_second,
        data_wait_share=reading.data_wait_share,
        seconds=session.meter.seconds,
        eta_seconds=left / reading.images_per_second,
    )
    _watch_loader(session, reading)
    _watch_order(session, reading)
    _watch_loss(session, reading, batch, epoch, color_noise)
    return _note(session, reading)


def _watch_loader(session: Session, reading: Reading) -> None:
    starving = diagnostics.is_starving(reading.data_wait_share)
    session.starving_readings = session.starving_readings + 1 if starving else 0
    if session.starving_readings == STARVING_READINGS:
        session.warn(
            f"the net waits for images {100 * reading.data_wait_share:.0f} % of the time: "
            "prepare a raw store (--encoding raw), or give this process more cores"
        )


def _watch_order(session: Session, reading: Reading) -> None:
    """Once, in the first line of a run: classes should come mixed."""
    is_first = session.step <= session.plan.log_every_steps
    if is_first and diagnostics.is_ordered(session.labels[reading.indices.numpy()], session.labels):
        session.warn("the first batches hold few of the classes: the images do not come shuffled")


def _watch_loss(session: Session, reading: Reading, batch: Batch, epoch: int, color_noise: bool) -> None:
    """From the watchdog's patience on, and then each time the run is twice as long."""
    due = max(session.stuck_after, diagnostics.patience_steps(session.plan.steps_per_epoch))
    if session.step < due:
        return
    session.stuck_after = 2 * session.step
    learner, classes = session.learner, len(session.learner.classes)
    chance = learner.task.loss.at_chance(classes)
    if diagnostics.is_stuck(reading.loss, chance):
        images, targets = training_batch(learner, batch, epoch, color_noise)
        signals = diagnostics.measure(learner.model, images, targets, learner.task.loss.mean)
        entropy = diagnostics.entropy(session.labels[reading.indices.numpy()])
        facts = session.step, _learning_rate(session), entropy, signals
        session.warn(diagnostics.diagnosis(reading.loss, chance, classes, *facts))


def _learning_rate(session: Session) -> float:
    """Of the last update."""
    return session.learner.schedule.learning_rate(session.step - 1)


def _note(session: Session, reading: Reading) -> str:
    parts = [
        f"{reading.images_per_second:,.0f}/s without tests",
        f"waiting for images {100 * reading.data_wait_share:.0f} %",
        f"loss {reading.loss:.3f}",
        f"error {reading.error:.3f}",
    ]
    if session.errors:
        parts.append(f"last validation {session.errors['top1_error']:.3f}")
    return ", ".join(parts)
