"""The training loop: a recipe and a store become a run folder. This is the page to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from alexnet import distributed
from alexnet.config import RunConfig
from alexnet.data.image_reader import training_reader
from alexnet.data.loader import Batch, Loader
from alexnet.data.store import Store, training_images
from alexnet.errors import Stopped
from alexnet.optim.param_groups import set_learning_rates
from alexnet.runs.run_dir import RunDir
from alexnet.training import plan as events
from alexnet.training.logging import record
from alexnet.training.preemption import Interruption
from alexnet.training.session import Session, begin
from alexnet.training.step import update
from alexnet.training.transfer import InitFrom

Evaluate = Callable[[nn.Module], Mapping[str, Any]]
"""Tests a net on the validation images: `top1_error` and whatever else is worth a line of the log."""


class Advance(Protocol):
    """Told of images done, with a note for people."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """`count` more images are done."""
        ...


Progress = Callable[[int, int], AbstractContextManager[Advance]]
"""`progress(images in all, images done before)`."""


@dataclass(frozen=True)
class Result:
    """How a run ended; errors are fractions."""

    step: int
    epochs: int
    errors: dict[str, Any]
    """Of the last validation."""
    best_top1_error: float
    seconds: float
    """Of training, over all resumes, without validation and checkpoints."""


def train(
    config: RunConfig,
    store: Store,
    run: RunDir,
    *,
    evaluate: Evaluate,
    device: torch.device,
    resume: bool = False,
    minutes: float | None = None,
    init_from: InitFrom | None = None,
    progress: Progress = lambda total, done: nullcontext(lambda count=1, note="": None),
    say: Callable[[str], None] = lambda line: None,
) -> Result:
    """Trains to the end of the schedule and returns how it ended; everything is in the run's folder.

    With `resume` it goes on at the newest checkpoint, if there is one; on a CPU the weights are then, bit for
    bit, those of a run that was never stopped. `init_from` names a trained net whose weights it begins
    with. Stopped after saving, at a signal or after `minutes`. WorkError at a loss that is not finite, or
    where the disk is full: the last checkpoint stays.
    """
    session = begin(config, store, run, device, resume, init_from, say)
    plan, learner, batch_images = session.plan, session.learner, config.training.batch_size
    on_gpu = device.type == "cuda"
    with ExitStack() as stack:
        stack.enter_context(session.logging())
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=True))
        # Processes agree on stopping; on a GPU not at every update, since that waits for it.
        interruption = stack.enter_context(Interruption(minutes, agree_every_steps=20 if on_gpu else 1))
        advance = stack.enter_context(progress(plan.total_steps * batch_images, session.step * batch_images))
        session.log("resume" if session.step else "start", learning_rate=_learning_rate(session))
        if session.began_with:
            session.log("init-from", **session.began_with)
        if plan.validates(session.step) and session.validated_step < session.step:
            _validate(session, evaluate)
            session.save()
        loader = training_loader(config, store, device, learner.task.reads_boxes)
        for epoch, batch in session.meter.timed(_batches(loader, session)):
            step = session.step
            color_noise = _prepare_update(session, step)
            session.meter.add(step, update(learner, batch, epoch, step, color_noise), batch.indices)
            session.step = step + 1
            advance(batch_images)
            stop = interruption.wanted(session.step)
            if plan.logs(session.step) or stop:
                advance(0, record(session, batch, epoch, color_noise))
                if plan.validates(session.step) and not stop:
                    _validate(session, evaluate)
                if stop or session.finished or session.save_is_due():
                    session.save()
            if stop:
                session.log("stopped", reason=interruption.reason)
                raise Stopped(
                    f"stopped {interruption.reason} after update {session.step:,} of {plan.total_steps:,} "
                    "and saved; the same command with --resume goes on"
                )
        result = _result(session)
        session.log("result", **result.errors, best_top1_error=result.best_top1_error, seconds=result.seconds)
    return result


def training_loader(config: RunConfig, store: Store, device: torch.device, boxes: bool = False) -> Loader:
    """Batches of a run's training images: its order, crops and scales; with `boxes` those of each image."""
    images = training_images(store, config.data)
    return Loader(
        images,
        config.training.batch_size,
        seed=config.training.seed,
        order=config.data.order,
        rank=distributed.rank(),
        world_size=distributed.world_size(),
        device=device,
        drop_last=True,
        reader=training_reader(images, config.data, config.training.seed),
        boxes=boxes,
    )


def _batches(loader: Loader, session: Session) -> Iterator[tuple[int, Batch]]:
    """(epoch, batch) from where the session stands until it is finished."""
    while not session.finished:
        epoch, first = divmod(session.step, session.plan.steps_per_epoch)
        for batch in loader.batches(epoch, first):
            yield epoch, batch


def _learning_rate(session: Session) -> float:
    return session.learner.schedule.learning_rate(session.step)


def _prepare_update(session: Session, step: int) -> bool:
    """Sets the rates of update `step`, logs what changes with it, and returns whether color noise is on."""
    scheduled, total_steps, learner = session.config.events, session.plan.total_steps, session.learner
    rate, phase = learner.schedule.learning_rate(step), learner.schedule.phase(step)
    if phase != session.phase:
        session.log("learning-rate", step=step + 1, learning_rate=rate)
    session.phase = phase
    for event in events.starting(scheduled, step, total_steps):
        session.log(event.action, step=step + 1, layer=event.layer, value=event.value)
    factors = events.lr_multipliers(scheduled, step, total_steps)
    set_learning_rates(learner.optimizer, rate, learner.schedule.first_rate, factors)
    return events.color_noise(scheduled, step, total_steps)


def _validate(session: Session, evaluate: Evaluate) -> None:
    """Tests the net, tells the schedule, and takes note whether it is the best so far."""
    session.refuse_broken_weights()
    model = session.learner.average.model
    distributed.copy_from_main(model.buffers())
    session.errors = distributed.broadcast_object(dict(evaluate(model)))
    session.validated_step = session.step
    error = session.errors["top1_error"]
    session.improved = error < session.best_error
    session.best_error = min(error, session.best_error)
    session.learner.schedule.observe(error)
    session.log("validation", **session.errors)


def _result(session: Session) -> Result:
    return Result(session.step, session.epoch, session.errors, session.best_error, session.meter.seconds)
