"""A run in progress: where it stands, what it writes to its folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from alexnet import distributed
from alexnet.config import RunConfig
from alexnet.data.classes import same_classes
from alexnet.data.store import Store, training_images
from alexnet.errors import CommandError, WorkError
from alexnet.io import exclusive_lock, file_sha256
from alexnet.models import bundle
from alexnet.runs.metrics_log import MetricsLog, was_initialized
from alexnet.runs.run_dir import RunDir
from alexnet.training import checkpoint
from alexnet.training.plan import Plan, make_plan
from alexnet.training.step import LOWER_RATE, Meter
from alexnet.training.train_state import TrainState, build_train_state
from alexnet.training.transfer import InitFrom, inherit, refuse_without_net

Say = Callable[[str], None]
"""Told of what people should know, a line at a time."""


@dataclass
class Session:
    """One process's part in a run; only the main process writes files."""

    config: RunConfig
    run: RunDir
    plan: Plan
    learner: TrainState
    store_digest: str
    labels: npt.NDArray[np.int32]
    """Of the training images."""
    say: Say
    meter: Meter = field(default_factory=Meter)
    step: int = 0
    """Updates done."""
    validated_step: int = 0
    """`step` at the last validation."""
    phase: int = 0
    """The schedule's, at the last update."""
    errors: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the last validation found."""
    best_error: float = math.inf
    """Lowest top-1 validation error, a fraction."""
    saved_step: int = 0
    improved: bool = False
    """Whether the last validation was the best, and is not saved yet."""
    saved_at: float = field(default_factory=time.monotonic)
    starving_readings: int = 0
    """How many readings in a row found the net waiting for images."""
    stuck_after: int = 0
    """Updates after which the watchdog looks again whether the loss is stuck."""
    terms: Mapping[str, str] = field(default_factory=lambda: bundle.TERMS)
    """What may be done with the weights; it travels with them."""
    began_with: dict[str, Any] | None = None
    """Which net's weights the run begins with, and what was taken from it."""
    lines: MetricsLog | None = None

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.plan.epoch_of(self.step)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.plan.total_steps or self.learner.schedule.finished

    @contextmanager
    def logging(self) -> Generator[None]:
        """While it lasts, `log` writes to the run's folder, and no other process may train there."""
        if not distributed.is_main():
            yield
            return
        file, board = self.run.metrics_file, self.run.tensorboard
        with exclusive_lock(self.run.path), MetricsLog(file, board, self.step) as self.lines:
            self.run.write_config(self.config)  # a resumed run's may have changed
            yield

    def log(self, event: str, step: int | None = None, **values: Any) -> None:
        """One line of the log, at `step` or now."""
        if self.lines:
            self.lines.write(event, self.step if step is None else step, self.epoch, **values)

    def warn(self, text: str) -> None:
        """To the log and to people."""
        self.log("warning", text=text)
        self.say(f"warning: {text}")

    def save_is_due(self) -> bool:
        """Whether a checkpoint should be written; the same answer in all processes."""
        minutes = (time.monotonic() - self.saved_at) / 60
        due = self.improved or minutes >= self.config.training.checkpoint_every_minutes
        return distributed.broadcast_object(due) and self.saved_step != self.step

    def refuse_broken_weights(self) -> None:
        """WorkError where a weight is not finite: such a net is neither tested nor saved."""
        for name, weight in self.learner.average.model.state_dict().items():
            if not weight.isfinite().all():
                raise WorkError(f"{name} is not finite after update {self.step - 1}; {LOWER_RATE}")

    def save(self) -> None:
        """Writes a checkpoint of this moment."""
        self.refuse_broken_weights()
        learner = self.learner
        distributed.copy_from_main(learner.average.model.buffers())
        if distributed.is_main():
            write_weights = partial(
                bundle.save,
                model=learner.average.model,
                config=self.config,
                classes=learner.classes,
                preprocessing=learner.preprocessing,
                terms=self.terms,
            )
            folder = self.run.checkpoints
            checkpoint.write(folder, self.step, write_weights, learner.state(), self._meta(), self.improved)
        self.log("checkpoint", best=self.improved)
        self.improved, self.saved_step, self.saved_at = False, self.step, time.monotonic()
        distributed.barrier()

    def inherit(self, init_from: InitFrom) -> None:
        """Begins with another net's weights, and says which; errors as `inherit.match`."""
        learner, given = self.learner, bundle.load_safetensors(init_from.path, "cpu")
        options = learner.classes, given, init_from.layers, learner.preprocessing
        found = inherit(learner.model, *options)
        inherit(learner.average.model, *options)
        self.terms = given.terms  # what may be done with those weights holds for what is made of them
        self.began_with = {
            "path": str(init_from.path),
            "weights_sha256": file_sha256(init_from.path),
            "terms": given.terms,
            **asdict(found),
        }
        self.say(f"begins with {init_from.path}")
        for line in found.lines():
            self.say(f"  {line}")
        for line in learner.preprocessing.difference(given.preprocessing):
            self.say(f"  images here and there: {line}")

    def restore(self) -> bool:
        """Goes on at the newest whole checkpoint; False where there is none yet.

        CommandError where it is of another net or another store; DataError where all are damaged.
        """
        found = checkpoint.newest(self.run.checkpoints, self.say)
        if found is None:
            self.say(f"no checkpoint in {self.run.path} yet: this is the beginning")
            return False
        meta = found.meta
        if meta["store_digest"] != self.store_digest:
            raise CommandError(
                f"{self.run.path} was trained on another store: give that one, or train in a new folder with "
                f"--init-from {self.run.path}"
            )
        loaded = bundle.load_safetensors(found.weights, "cpu")
        same_classes(loaded.classes, self.learner.classes, "classes of checkpoint and store")
        self.learner.load(loaded.model.state_dict(), found.state())
        self.terms = loaded.terms
        self.step = self.saved_step = meta["step"]
        self.validated_step, self.phase, self.errors = meta["validated_step"], meta["phase"], meta["errors"]
        self.best_error = math.inf if meta["best_error"] is None else meta["best_error"]
        self.meter = Meter(meta["seconds"])
        return True

    def _meta(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "batch": self.step % self.plan.steps_per_epoch,
            "validated_step": self.validated_step,
            "phase": self.phase,
            "errors": self.errors,
            "best_error": None if math.isinf(self.best_error) else self.best_error,
            "seconds": self.meter.seconds,
            "store_digest": self.store_digest,
        }


def begin(
    config: RunConfig,
    store: Store,
    run: RunDir,
    device: torch.device,
    resume: bool,
    init_from: InitFrom | None,
    say: Say,
) -> Session:
    """A session at the run's beginning, at its newest checkpoint, or with another net's weights."""
    split = training_images(store, config.data)
    plan = make_plan(config, len(split), distributed.world_size())
    learner = build_train_state(config, store, device, plan.steps_per_epoch)
    say = say if distributed.is_main() else _silence
    session = Session(config, run, plan, learner, store.digest, split.labels, say)
    if resume and session.restore():
        rate = learner.schedule.learning_rate(session.step)
        say(f"resumed after update {session.step:,}, in epoch {session.epoch}, learning rate {rate:g}")
        return session
    if init_from is not None:
        session.inherit(init_from)
    elif was_initialized(run.metrics_file):
        raise CommandError(
            f"{run.path} began with another net and was stopped before its first checkpoint: "
            "give its --init-from again"
        )
    else:
        refuse_without_net(config)
    return session


def _silence(text: str) -> None:
    pass
