"""The training loop: a configuration and a prepared store become a run directory. Start reading here.

A run is a directory (`RunDir`) that holds the configuration, a log of metrics and checkpoints.
`train_network` makes one update after another until the schedule ends. Around each update:

1. the schedule and scheduled events set the learning rates (`plan.py`, `alexnet.optim`);
2. the update itself: augmented images, loss, gradients, new weights (`step.py`);
3. every few updates the mean loss, error and speed are logged, with warnings (`logging.py`);
4. at the end of an epoch the model is tested on the validation images;
5. a checkpoint is saved if the validation error is the lowest so far, every few minutes, at the end, and when
   a signal or a time limit stops the run (`checkpoint.py`, `preemption.py`).

Everything an update depends on is in the checkpoint, or is a function of seed, epoch and step. A resumed run
therefore makes the updates that it would have made without the stop: on a CPU, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alexnet import distributed
from alexnet.checksum import known_sha256
from alexnet.config import RunConfig
from alexnet.data.classes import check_same_classes
from alexnet.data.groups import photo_groups
from alexnet.data.image_reader import training_reader
from alexnet.data.loader import Batch, Batching, Loader
from alexnet.data.store import Store, training_images
from alexnet.errors import CommandError, DataError, Diverged, Stopped
from alexnet.hardware import synchronize
from alexnet.io import exclusive_lock
from alexnet.models import bundle
from alexnet.optim.param_groups import set_learning_rates
from alexnet.progress import Progress, no_progress
from alexnet.runs.checkpoints import META, NetworkProgress, TimeUsed
from alexnet.runs.metrics_log import Callback, MetricsLog, initialized_from, no_callback
from alexnet.runs.run_dir import RunDir
from alexnet.text import counted, percentage
from alexnet.training import advice, checkpoint, events
from alexnet.training.logging import TrainingLog, describe_reading
from alexnet.training.pace import Pace
from alexnet.training.plan import Plan, keeps_all_images, make_plan
from alexnet.training.preemption import Interruption
from alexnet.training.step import Meter, training_batch, update
from alexnet.training.train_state import build_train_state
from alexnet.training.transfer import InitFrom, refuse_without_net, transfer

Evaluate = Callable[[nn.Module], Mapping[str, Any]]
"""Tests a model on the validation images; returns `top1_error`, a fraction in [0, 1], and other values to
log."""
Log = Callable[[str], None]
"""Receives readable lines, one at a time."""


@dataclass(frozen=True)
class TrainResult:
    """The result of a run; errors are fractions in [0, 1]."""

    step: int
    """Number of updates; of a classic pipeline, of photos that were encoded."""
    epochs: int
    """Number of complete epochs."""
    errors: dict[str, Any]
    """What the last validation returned: `top1_error` and the other values of the task."""
    best_top1_error: float
    """Lowest `top1_error` of all validations; infinite without one."""
    seconds: float
    """Seconds of training, over all resumes, without validation and checkpoints."""


@dataclass(frozen=True)
class TrainOptions:
    """How a run is trained; what is trained is in its configuration."""

    device: torch.device
    resume: bool = False
    """Whether to continue at the newest checkpoint, if there is one."""
    minutes: float | None = None
    """Minutes of this call after which the run is saved and stops; None is without a limit."""
    init_from: InitFrom | None = None
    """A trained model whose weights the run is initialized from."""
    weights_only: bool = False
    """Whether a finished run keeps only its weights, without the state that more epochs would need."""
    progress: Progress = no_progress
    log: Log = lambda line: None
    callback: Callback = no_callback
    """Receives each line of the run's log."""
    clock: Callable[[], float] = time.monotonic
    """Seconds since any fixed time; `schedule.minutes` counts them."""


def train_network(
    config: RunConfig, store: Store, run: RunDir, evaluate: Evaluate, options: TrainOptions
) -> TrainResult:
    """Trains to the end of the schedule and returns the result; everything else is in the run directory.

    Raises Stopped after saving, at a signal or a time limit; Diverged if the loss or a weight is not
    finite; WorkError if the disk is full or not writable. The last checkpoint is kept.
    """
    device = options.device
    trainer = Trainer(config, store, run, device, options.log, options.clock)
    resumed = options.resume and trainer.resume()
    if not resumed:
        trainer.initialize(options.init_from)
    elif options.init_from is not None:
        trainer.refuse_other_source(options.init_from)
    with ExitStack() as stack:
        stack.enter_context(trainer.open_metrics(options.callback))
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=True))
        # Processes agree on stopping, on a GPU not at every update, since this waits for the GPU.
        agree_every_steps = 20 if device.type == "cuda" else 1
        interruption = stack.enter_context(Interruption(options.minutes, agree_every_steps))
        plan = trainer.plan
        images = plan.images(plan.total_steps), plan.images(trainer.step)
        advance = stack.enter_context(options.progress(*images))
        trainer.log_start()
        if config.training.fit_last_layer and not resumed:
            trainer.fit_last_layer(interruption)
            trainer.validate(evaluate)
            trainer.save()
        if trainer.plan.validates(trainer.step) and trainer.validated_step < trainer.step:
            # The run was stopped between the last update of an epoch and its validation.
            trainer.validate(evaluate)
            trainer.save()
        loader = training_loader(config, store, device, trainer.state.task.reads_boxes)
        trainer.pace.restart()
        for epoch, batch in trainer.meter.timed(trainer.batches(loader)):
            trainer.update(batch, epoch)
            plan = trainer.follow_time()
            advance(batch.size, total=plan.images(plan.total_steps))
            stop = interruption.wanted(trainer.step)
            if plan.logs(trainer.step) or stop:
                advance(0, trainer.log_means(batch, epoch))
                if plan.validates(trainer.step) and not stop:
                    trainer.validate(evaluate)
                    advance(0, metric=f"validation error {percentage(trainer.errors['top1_error'])}")
                if stop or trainer.finished or trainer.save_is_due():
                    trainer.save()
            if stop:
                trainer.event("stopped", reason=interruption.reason)
                raise Stopped(
                    f"stopped {interruption.reason} after update {trainer.step:,} of {plan.total_steps:,}; "
                    "checkpoint saved, run the same command with --resume to continue",
                    timed_out=interruption.timed_out,
                )
        result = trainer.result()
        trainer.event(
            "result", **result.errors, best_top1_error=result.best_top1_error, seconds=result.seconds
        )
        if distributed.is_main():
            lines = trainer.metrics.sync() if trainer.metrics else 0
            checkpoint.finish(run.checkpoints, lines, keep_state=not options.weights_only)
    return result


def training_loader(config: RunConfig, store: Store, device: torch.device, boxes: bool = False) -> Loader:
    """Loads a run's training images: shuffled by seed and epoch, this process's share of each batch.

    With `boxes` a batch carries those of its images.
    """
    images = training_images(store, config.data)
    keep = keeps_all_images(config.training, len(images))
    return Loader(
        images,
        Batching(
            config.training.batch_size,
            seed=config.training.seed,
            order="balanced" if config.data.sampling == "balanced" else config.data.order,
            drop_last=not keep,
            even=keep,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
        ),
        device=device,
        reader=training_reader(images, config.data, config.training.seed),
        boxes=boxes,
    )


class Trainer:
    """One process's part of a run; only the main process writes files and prints lines."""

    def __init__(
        self,
        config: RunConfig,
        store: Store,
        run: RunDir,
        device: torch.device,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ):
        """The trainer before the first update; the initial weights are a function of the seed."""
        split = training_images(store, config.data)
        self.config, self.store, self.run, self.store_digest = config, store, run, store.digest
        self.plan = make_plan(config, len(split), distributed.world_size())
        self.state = build_train_state(config, store, device, self.plan.steps_per_epoch)
        self.log: Log = log if distributed.is_main() else _ignore
        self.training_log = TrainingLog(
            self.state, self.plan.steps_per_epoch, split.labels, self.event, self.log
        )
        self.pace = Pace(len(store.split("val")), clock)
        self.metrics: MetricsLog | None = None
        self.terms: Mapping[str, str] = bundle.default_terms(store.classes)
        """The license terms of the weights, which are saved with them."""
        self.init_from: dict[str, Any] | None = None
        """The weights from which the run was initialized, and the tensors that were copied."""
        self.from_random = False
        """Whether this process starts the run, from random weights."""
        self.meter = Meter()
        self.step = 0
        """Number of updates."""
        self.phase = 0
        """Phase of the schedule at the last update."""
        self.color_noise = False
        """Whether the last update's images had color noise."""
        self.errors: dict[str, Any] = {}
        """Errors of the last validation."""
        self.best_error = math.inf
        """Lowest top-1 validation error, a fraction."""
        self.best_kept_error = math.inf
        """That of the best checkpoint that is kept: higher if that of `best_error` was damaged."""
        self.validated_step = 0
        """`step` at the last validation."""
        self.improved = False
        """Whether the last validation was the best so far, and is not saved yet."""
        self.waited = 0
        """Validations since the best one."""
        self.saved_step, self.saved_at = 0, clock()
        self.log_lines = 0
        """Lines that the log had at the checkpoint that the run resumes from."""
        self._clock = clock

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return self.plan.epoch_of(self.step)

    @property
    def finished(self) -> bool:
        """Whether the schedule has ended, or the run was stopped early."""
        return self.step >= self.plan.total_steps or self.state.schedule.finished or self.stopped_early

    @property
    def stopped_early(self) -> bool:
        """Whether there were `training.patience` validations in a row without a lower error."""
        return 0 < self.config.training.patience <= self.waited

    # Initial weights.

    def initialize(self, init_from: InitFrom | None) -> None:
        """Keeps the initial weights, or copies those of another model; errors as `transfer.match`."""
        if init_from is not None:
            self._transfer(init_from)
        elif initialized_from(self.run.metrics_file) is not None:
            raise CommandError(
                f"{self.run.path} was initialized from another model and stopped before its first "
                "checkpoint: type the same --init-from again"
            )
        else:
            refuse_without_net(self.config)
            self.from_random = True

    def refuse_other_source(self, init_from: InitFrom) -> None:
        """CommandError if the run that is resumed was initialized from other weights, or from none."""
        known = initialized_from(self.run.metrics_file)
        if known is None:
            raise CommandError(f"{self.run.path} began with random weights: omit --init-from")
        same_place = Path(known["path"]).resolve() == init_from.path.resolve()
        if not same_place and known["weights_sha256"] != known_sha256(init_from.path):
            raise CommandError(
                f"{self.run.path} was initialized from {known['path']}, not from {init_from.path}: omit "
                "--init-from, or train in a new folder"
            )

    def _transfer(self, init_from: InitFrom) -> None:
        state, source = self.state, bundle.load(init_from.path, "cpu", needs_weights=True)
        copied = transfer(state.model, state.classes, source, init_from.layers, state.preprocessing)
        state.ema.model.load_state_dict(state.model.state_dict())
        self.terms = source.terms  # the terms of the weights also apply to weights derived from them
        self.init_from = {
            "path": str(init_from.path),
            "layers": list(init_from.layers),
            "weights_sha256": known_sha256(init_from.path),
            "terms": source.terms,
            **asdict(copied),
        }
        self.log(f"initialized from {init_from.path}")
        for line in copied.lines():
            self.log(f"  {line}")
        for line in state.preprocessing.difference(source.preprocessing):
            self.log(f"  preprocessing of this run and of the source model differs: {line}")

    def fit_last_layer(self, interruption: Interruption) -> None:
        """Fits the last layer to features of the training images; errors as `last_layer.fit_last_layer`.

        Raises Stopped at a signal or a time limit. Nothing is saved then: a resumed run begins again.
        """
        from alexnet.training.last_layer import fit_last_layer  # it loads scikit-learn

        state, split = self.state, training_images(self.store, self.config.data)
        fitted = bundle.ModelBundle(state.model, self.config, state.classes, state.preprocessing)

        def stop_if_wanted(_: int) -> None:
            # Several processes cannot agree here: each of them has other images.
            if distributed.world_size() == 1 and interruption.wanted(0):
                self.event("stopped", reason=interruption.reason)
                raise Stopped(
                    f"stopped {interruption.reason} while the last layer was fitted: run the same command "
                    "with --resume to begin that again",
                    timed_out=interruption.timed_out,
                )

        groups = photo_groups(self.store, split)
        found = fit_last_layer(fitted, split, self.config.training.seed, stop_if_wanted, groups)
        distributed.copy_from_main(state.model.parameters())
        state.ema.model.load_state_dict(state.model.state_dict())
        self.event("last-layer", **asdict(found))
        held_out = (
            "" if found.held_out_error is None else f", held-out error {percentage(found.held_out_error)}"
        )
        self.log(f"last layer fitted to the features of {found.images:,} images{held_out}")

    # One update.

    def batches(self, loader: Loader) -> Iterator[tuple[int, Batch]]:
        """(epoch, batch) for each update until the run is finished."""
        while not self.finished:
            epoch, first = divmod(self.step, self.plan.steps_per_epoch)
            for batch in loader.batches(epoch, first):
                yield epoch, batch
                if self.finished:  # within an epoch, where the time ends
                    return

    def update(self, batch: Batch, epoch: int) -> None:
        """Makes the next update, with this process's share of a batch."""
        step = self.step
        self._set_learning_rates()
        self.color_noise = events.color_noise(self.config.events, step, self.plan.total_steps)
        self.meter.add(step, update(self.state, batch, epoch, step, self.color_noise), batch.indices)
        self.step = step + 1
        if not self.pace.settled:
            synchronize(self.state.device)  # to time the update instead of its start
        self.pace.updated()

    def follow_time(self) -> Plan:
        """The plan; with `schedule.minutes` it has as many updates as fit into the time.

        It changes after each update until the speed is known, and later only if the speed has changed.
        """
        if self.pace.settled and distributed.world_size() > 1 and not self.plan.logs(self.step):
            return self.plan  # processes agree on it, which takes time
        budget = 60 * self.config.schedule.minutes
        found = distributed.broadcast_result(lambda: self.pace.forecast(self.plan, self.step, budget))
        self._plan_steps(found.total_steps)
        if found.is_new:
            self.pace.settle()
            if budget:
                self.event("plan", total_steps=found.total_steps, **asdict(self.pace.state()))
            self.training_log.record_plan(self.pace, self.plan, self.step, self.from_random)
        return self.plan

    def _plan_steps(self, total: int) -> None:
        if total != self.plan.total_steps:
            self.plan = replace(self.plan, total_steps=total)
            self.state.plan_steps(self.plan.steps_per_epoch, total)

    def _set_learning_rates(self) -> None:
        """Sets the rates of the next update, and logs what changes with it."""
        scheduled, schedule = self.config.events, self.state.schedule
        rate, phase = schedule.learning_rate(self.step), schedule.phase(self.step)
        if phase != self.phase:
            self.event("learning-rate", step=self.step + 1, learning_rate=rate)
        self.phase = phase
        for event in events.starting(scheduled, self.step, self.plan.total_steps):
            self.event(event.action, step=self.step + 1, layer=event.layer, value=event.value)
        multipliers = events.lr_multipliers(scheduled, self.step, self.plan.total_steps)
        of_biases = events.bias_factor(scheduled, self.step, self.plan.total_steps)
        set_learning_rates(self.state.optimizer, rate, schedule.first_rate, multipliers, of_biases)

    # Logging.

    @contextmanager
    def open_metrics(self, callback: Callback = no_callback) -> Generator[None]:
        """Opens the log for `event`; while it is open, no other process can train in the run directory."""
        distributed.barrier()  # other processes have read the checkpoints
        if not distributed.is_main():
            yield
            return
        file, tensorboard = self.run.metrics_file, self.run.tensorboard
        with ExitStack() as stack:
            stack.enter_context(exclusive_lock(self.run.path))
            checkpoint.tidy(self.run.checkpoints)
            self.metrics = stack.enter_context(
                MetricsLog(file, tensorboard, self.step, self.log_lines, callback)
            )
            if note := self.metrics.lost_note:
                self.log(note)
            self.run.write_config(self.config)  # that of a resumed run may have changed
            yield

    def event(self, event: str, step: int | None = None, **values: Any) -> None:
        """Writes one line of the metrics, at `step` or after the last update."""
        if self.metrics:
            self.metrics.write(event, self.step if step is None else step, self.epoch, **values)

    def log_start(self) -> None:
        """Logs that the run starts or resumes, and which weights it was initialized from."""
        self.event(
            "resume" if self.step else "start", learning_rate=self.state.schedule.learning_rate(self.step)
        )
        if self.init_from:
            self.event("init-from", **self.init_from)

    def log_means(self, batch: Batch, epoch: int) -> str:
        """Logs the means since the last time, and returns them as text; Diverged if a loss is not finite.

        `batch`, of `epoch`, is that of the last update.
        """
        reading = self.meter.read()
        last_batch = partial(training_batch, self.state, batch, epoch, self.color_noise)
        self.training_log.record(reading, self.step, self.plan, self.meter.seconds, last_batch)
        return describe_reading(reading)

    # Validation.

    def validate(self, evaluate: Evaluate) -> None:
        """Tests the model, passes the error to the schedule, and notes whether it is the best so far."""
        self._refuse_broken_weights()
        model = self.state.ema.model
        distributed.copy_from_main(model.buffers())
        with self.pace.validating():
            self.errors = distributed.broadcast_object(dict(evaluate(model)))
        self.validated_step = self.step
        error = self.errors["top1_error"]
        self.waited = 0 if error < self.best_error else self.waited + 1
        self.improved = error < self.best_kept_error
        self.best_error, self.best_kept_error = (
            min(error, best) for best in (self.best_error, self.best_kept_error)
        )
        self.state.schedule.observe(error)
        self.event("validation", **self.errors)
        if self.stopped_early:
            self.event("early-stop", waited=self.waited, best_top1_error=self.best_error)
            self.log(advice.early_stop(self.waited, self.best_error))
        self.training_log.check_validation(self.pace, self.plan, self.step)

    def result(self) -> TrainResult:
        """The result of the run."""
        return TrainResult(self.step, self.epoch, self.errors, self.best_error, self.meter.seconds)

    # Saving and resuming.

    def save_is_due(self) -> bool:
        """Whether a checkpoint should be saved; the same in all processes."""
        minutes = (self._clock() - self.saved_at) / 60
        due = self.improved or minutes >= self.config.training.checkpoint_every_minutes
        return distributed.broadcast_object(due) and self.saved_step != self.step

    def save(self) -> None:
        """Saves a checkpoint."""
        self._refuse_broken_weights()
        state = self.state
        distributed.copy_from_main(state.ema.model.buffers())
        if distributed.is_main():
            made = bundle.ModelBundle(
                state.ema.model, self.config, state.classes, state.preprocessing, dict(self.terms)
            )
            write_weights = partial(bundle.save, bundle=made)
            lines = self.metrics.sync() if self.metrics else 0
            with self.pace.saving():
                checkpoint.write(
                    self.run.checkpoints,
                    self.step,
                    write_weights,
                    state.state(),
                    self._progress(),
                    best=self.improved,
                    log_lines=lines,
                )
        self.event("checkpoint", best=self.improved)
        self.improved, self.saved_step, self.saved_at = False, self.step, self._clock()
        distributed.barrier()

    def _refuse_broken_weights(self) -> None:
        """Raises Diverged if a weight is not finite: such a model is neither tested nor saved."""
        for name, weight in self.state.ema.model.state_dict().items():
            if not weight.isfinite().all():
                raise Diverged(f"{name} is not finite after update {self.step:,}")

    def _progress(self) -> NetworkProgress:
        """The values that `resume` reads back."""
        return NetworkProgress(
            epoch=self.epoch,
            batch=self.step % self.plan.steps_per_epoch,
            validated_step=self.validated_step,
            phase=self.phase,
            errors=self.errors,
            best_error=None if math.isinf(self.best_error) else self.best_error,
            waited=self.waited,
            seconds=self.meter.seconds,
            minutes=self.config.schedule.minutes,
            total_steps=self.plan.total_steps,
            pace=self.pace.state(),
            store_digest=self.store_digest,
        )

    def resume(self) -> bool:
        """Restores the newest undamaged checkpoint; False if there is none yet.

        CommandError if it is for another model or store, past the last epoch, or of a finished run that kept
        only its weights; DataError if all are damaged.
        """
        found = checkpoint.newest(self.run.checkpoints, self.log)
        if found is None:
            self.log(f"no checkpoint in {self.run.path} yet: starting from the beginning")
            return False
        progress = found.meta.training
        if not isinstance(progress, NetworkProgress):
            raise DataError(
                f"{found.path / META} is not of a network: delete {self.run.path} and train again"
            )
        if progress.store_digest != self.store_digest:
            raise CommandError(
                f"{self.run.path} was trained on another store: use that one, or train in a new folder with "
                f"--init-from {self.run.path}"
            )
        self._refuse_shorter(found.step, progress)
        saved = bundle.load(found.weights, "cpu", needs_weights=True)
        check_same_classes(saved.classes, self.state.classes, "classes of checkpoint and store")
        self.state.load(saved.model.state_dict(), checkpoint.load_state(found) if found.has_state else None)
        self.terms = saved.terms
        self.step = self.saved_step = found.step
        self.validated_step = progress.validated_step or 0
        self.phase, self.errors = progress.phase, progress.errors
        self.best_error = math.inf if progress.best_error is None else progress.best_error
        self.best_kept_error = checkpoint.best_kept_error(self.run.checkpoints, found)
        self.log_lines = found.meta.log_lines
        self.waited = progress.waited
        self.meter = Meter(progress.seconds)
        self._resume_time(progress)
        if not found.has_state and not self.finished:
            raise CommandError(
                f"{self.run.path} kept only its weights (--weights-only) and cannot be trained further: "
                f"train in a new folder with --init-from {self.run.path}"
            )
        rate = self.state.schedule.learning_rate(self.step)
        self.log(f"resumed after update {self.step:,}, in epoch {self.epoch}, learning rate {rate:g}")
        return True

    def _resume_time(self, progress: NetworkProgress) -> None:
        """Continues the clock; with `schedule.minutes`, plans the same updates, or those of other minutes."""
        self.pace.load_state(_time_used(self.step, progress))
        minutes = self.config.schedule.minutes
        if minutes:
            planned = progress.total_steps if progress.minutes == minutes else None
            self.pace.settled = planned is not None
            affordable = self.pace.affordable_steps(self.plan, self.step, 60 * minutes)
            self._plan_steps(affordable if planned is None else planned)

    def _refuse_shorter(self, step: int, progress: NetworkProgress) -> None:
        """CommandError if more updates were made than the schedule has, or more time was used."""
        minutes, used = self.config.schedule.minutes, _time_used(step, progress).used / 60
        if minutes and minutes != progress.minutes and minutes < used:
            raise CommandError(
                f"{self.run.path} has been trained for {used:.1f} minutes; schedule.minutes must be "
                f"{math.ceil(used)} or more"
            )
        if not minutes and step > self.plan.total_steps:
            epochs = math.ceil(step / self.plan.steps_per_epoch)
            raise CommandError(
                f"{counted(epochs, 'epoch')} of {self.run.path} are already trained; schedule.epochs must be "
                f"{epochs} or more"
            )


def _time_used(step: int, progress: NetworkProgress) -> TimeUsed:
    """Its time; a checkpoint of an earlier version has that of its updates only."""
    each = progress.seconds / max(step, 1)
    return progress.pace or TimeUsed(used=progress.seconds, update_seconds=each)


def _ignore(line: str) -> None:
    pass
