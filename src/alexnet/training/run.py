"""`alexnet.train`: trains a recipe on a store and writes a run directory, or resumes a stopped run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from alexnet import distributed, recipes
from alexnet.config import RunConfig, at_size_of_store, changes, override
from alexnet.data.classes import NO_LABEL
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store, training_images
from alexnet.errors import Busy, CommandError, Diverged, Stopped, WorkError
from alexnet.evaluation.prediction_cache import predict_split
from alexnet.hardware import choose_device, describe_device, multiplies_bfloat16
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import model_description
from alexnet.models.summary import summarize
from alexnet.optim.param_groups import parameter_layers
from alexnet.optim.schedules import make_schedule
from alexnet.progress import Progress, no_progress
from alexnet.runs.environment import Environment
from alexnet.runs.metrics_log import Callback, no_callback
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.tasks.base import task_of
from alexnet.tasks.config import TASKS, task_info
from alexnet.text import counted, percentage
from alexnet.training import trainer
from alexnet.training.advice import few_photos, few_updates, late_milestones, long_warmup
from alexnet.training.plan import Plan, describe_batches, make_plan
from alexnet.training.train_state import check_network
from alexnet.training.trainer import Log, TrainOptions, TrainResult
from alexnet.training.transfer import InitFrom, match, normalized_as_source, refuse_without_net

LOWEST_FRACTION = 0.9e-3
"""Recipes have three drops by 10; a lower fraction means that the drops were intended for fewer epochs."""

VALIDATION = ("val", ViewSet("center"))
"""Split and views of validation during training; a detector uses the whole image."""


def make_validation(config: RunConfig, store: Store) -> Callable[[nn.Module], Mapping[str, Any]]:
    """The function that tests a model during training: it returns `top1_error`, which is watched, and other
    values.

    It raises Diverged if the model's outputs are not finite.
    """
    preprocessing = Preprocessing.from_store(config.data, store)
    task = task_of(config, len(store.classes))
    split, views = VALIDATION

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        bundle = ModelBundle(model, config, store.classes, preprocessing, {})
        made = predict_split(task, bundle, store, split, task.own_views(views) or views)
        if not made.is_finite():
            raise Diverged("the model's outputs for the validation images are not finite")
        return task.watch(made, store)

    return evaluate


def network_config(recipe: str, store: Store, settings: Sequence[str], log: Log) -> RunConfig:
    """The configuration of a recipe with `settings` for a run on `store`, whose image size it takes.

    Errors as `train`, and CommandError if the recipe is not that of a network.
    """
    config = recipes.get(recipe)
    if config.classic is not None:
        raise CommandError(f"{recipe} is not a network: type one, such as alexnet-modern")
    return at_size_of_store(config, settings, store.side, log)


def train(
    recipe: str | RunConfig,
    store: str | Path | Store,
    run: str | Path,
    *settings: str,
    init_from: str | Path | None = None,
    init_layers: Sequence[str] = (),
    resume: bool = False,
    minutes: float | None = None,
    weights_only: bool = False,
    device: str | torch.device = "auto",
    progress: Progress = no_progress,
    log: Log = lambda line: None,
    callback: Callback = no_callback,
) -> TrainResult:
    """Trains one run to its end and returns its result; everything else is in the run directory `run`.

    `recipe` is a recipe's name (`alexnet.list_models()`) or a configuration; `settings` such as
    `"schedule.epochs=30"` change single fields of it. A recipe takes `data.image_size` from the store, and
    `data.input_size` in proportion, unless `settings` contain them; a configuration stays as it is. `run`
    must not exist, or be empty; with `resume`, an existing run is continued with its own configuration and
    `settings`. On a CPU the result is bit for bit that of a run that was never stopped. With `weights_only` a
    finished run keeps only its weights and cannot be trained further: it is a half to a third as large.
    `init_from` is a run directory or model file from whose weights the run is initialized: all, or those of
    `init_layers`. `log` receives one line at a time, `progress(total, done)` makes the progress bar.
    `callback` is a function that receives each line of `metrics.jsonl` as a `LogEvent` when it is written,
    for trackers such as W&B; an exception of it ends the training, and the last checkpoint stays. Under
    `torchrun` the processes share each batch.

    Raises Stopped after saving, at a signal or after `minutes`; CommandError, before anything is written, if
    recipe, store, weights and device do not fit together; WorkError if the loss is not finite, or if the disk
    is full or not writable: the last checkpoint stays.
    """
    place = RunDir(Path(run))
    if init_layers and init_from is None:
        raise CommandError("--init-layers needs --init-from RUN, the model whose layers are copied")
    # All processes read the configuration before the first of them writes, which happens after all have
    # joined.
    if isinstance(recipe, str):
        recipes.function(recipe)  # an unknown one is refused before the store is opened
    opened = store if isinstance(store, Store) else Store.open(Path(store))
    request = _Request(recipe, opened, place, settings, resume)
    towers = request.configuration()[0].model.tower_devices
    chosen = choose_device(device, towers)
    with distributed.running(chosen):
        opened.split(VALIDATION[0])
        source = None if init_from is None else InitFrom(find_weights(Path(init_from)), tuple(init_layers))
        log = log if distributed.is_main() else _silence
        config = distributed.broadcast_result(lambda: _begin(request, chosen, source, log))
        options = TrainOptions(
            chosen,
            resume=resume,
            minutes=minutes,
            weights_only=weights_only,
            init_from=source,
            progress=progress if distributed.is_main() else no_progress,
            log=log,
            callback=callback,
        )
        result = train_run(config, opened, place, options)
        metric = task_info(config.training.loss).logged.validation
        trained_on = ", which was trained on" if VALIDATION[0] in config.data.train_splits else ""
        log(
            f"done after {_kind_of(config).work.format(result.step)}: {metric} "
            f"{percentage(result.errors['top1_error'])} (best {percentage(result.best_top1_error)}) "
            f"on {VALIDATION[0]}{trained_on}"
        )
        if warning := _chance_warning(config, opened, result):
            log(f"warning: {warning}")
    return result


def _chance_warning(config: RunConfig, store: Store, result: TrainResult) -> str:
    """What to try if a classifier has learned nothing; empty if its validation error is lower than guessing.

    Guessing is to predict the most frequent class of the validation images.
    """
    labels = store.split(VALIDATION[0]).labels
    counts = np.bincount(labels[labels != NO_LABEL], minlength=len(store.classes))
    if task_info(config.training.loss) is not TASKS[0] or not counts.any():
        return ""
    error, guessing = result.errors["top1_error"], 1 - counts.max() / counts.sum()
    if error < guessing - 1e-9:
        return ""
    classes = len(store.classes)
    found = f"the validation error, {percentage(error)}, is no better than chance for {classes} classes"
    if config.classic is not None:
        return f"{found}: check the photos and their labels"
    updates = counted(result.step, "update")
    made = f"only {updates} {'was' if result.step == 1 else 'were'} made" if result.step < 1000 else updates
    smaller = "" if config.recipe == "alexnet-small" else ", or the recipe alexnet-small"
    return f"{found}: {made}; use more schedule.epochs, a smaller training.batch_size{smaller}"


def train_run(
    config: RunConfig,
    store: Store,
    run: RunDir,
    options: TrainOptions,
    validation: Callable[[RunConfig, Store], trainer.Evaluate] = make_validation,
) -> TrainResult:
    """Trains in a run directory that `create_run` made, a network or a classic pipeline, to the end.

    `validation(config, store)` makes the function that tests the model during training. Errors as `train`. A
    new run that fails before its first measurement is removed.
    """
    with nullcontext() if options.resume else removed_if_refused(run):
        return _kind_of(config).train(config, store, run, validation(config, store), options)


@contextmanager
def removed_if_refused(run: RunDir) -> Generator[None]:
    """Removes a new run directory in which nothing was trained if an error is raised inside.

    The same command then works once its cause is fixed. Kept are runs that another process trains, that
    diverged, or whose disk is full or not writable: their errors suggest --resume.
    """
    try:
        yield
    except (Busy, WorkError, Stopped):
        raise
    except Exception:
        if distributed.is_main() and not run.has_trained:
            run.remove()
        raise


def create_run(
    config: RunConfig,
    store: Store,
    run: RunDir,
    device: torch.device,
    init_from: InitFrom | None = None,
    log: Log = lambda line: None,
) -> None:
    """Makes a new run directory and logs what will be trained there.

    CommandError, before anything is written, if the directory is taken, or configuration, store, weights
    and device do not fit together.
    """
    where, kind = describe_device(device, config.model.tower_devices), _kind_of(config)
    if init_from is not None and not kind.takes_weights:
        raise CommandError(
            f"{config.recipe} is not a network and cannot be initialized from weights: omit --init-from"
        )
    RunDir.refuse_taken(run.path)
    if init_from is None:
        refuse_without_net(config)
    else:
        model = check_network(config, store)
        match(model, store.classes, bundle.load(init_from.path, "cpu", needs_weights=True), init_from.layers)
    kind.log_summary(config, store, where, log)
    if init_from is None and config.classic is None and not config.schedule.minutes:
        steps = _plan_of(config, store).total_steps
        if warning := few_updates(config, steps):
            log(f"warning: {warning}")
    RunDir.create(run.path, config)
    with removed_if_refused(run):
        write_environment(config, store, run, device)


def write_environment(config: RunConfig, store: Store, run: RunDir, device: torch.device) -> None:
    """Records the environment of the run, unless that was done before a kill."""
    if not run.environment_file.is_file():
        where = describe_device(device, config.model.tower_devices)
        processes = distributed.world_size()
        made = Environment.of_this_process(where, sys.argv, store.path, store.digest, processes)
        run.write_environment(made)


class _Kind(NamedTuple):
    """The training of networks, or of classic pipelines."""

    train: Callable[[RunConfig, Store, RunDir, trainer.Evaluate, TrainOptions], TrainResult]
    log_summary: Callable[[RunConfig, Store, str, Log], None]
    """Logs what will be trained; CommandError, before anything is written, if it does not fit."""
    work: str
    """Description of `TrainResult.step`."""
    takes_weights: bool


def _kind_of(config: RunConfig) -> _Kind:
    if config.classic is None:
        return _Kind(trainer.train_network, _log_network_summary, "{:,} updates", takes_weights=True)
    from alexnet.training.classic_trainer import (
        train_pipeline,  # it loads scikit-learn, which networks do not need
    )

    return _Kind(train_pipeline, _log_classic_summary, "coding {:,} photos", takes_weights=False)


@dataclass(frozen=True)
class _Request:
    """The run that is to be trained or resumed."""

    recipe: str | RunConfig
    store: Store
    run: RunDir
    settings: Sequence[str]
    resume: bool

    def configuration(self, log: Log = lambda line: None) -> tuple[RunConfig, list[str] | None]:
        """The run's configuration, and the changes to a run that is resumed; None for a new one.

        A new run of a recipe has the store's image size, which is logged, unless the settings have another.
        """
        if self.resume and self.run.config_file.is_file():
            name = self.recipe if isinstance(self.recipe, str) else self.recipe.recipe
            return resumed_config(self.run, name, self.settings)
        if not isinstance(self.recipe, str):
            return override(self.recipe, self.settings), None
        return at_size_of_store(recipes.get(self.recipe), self.settings, self.store.side, log), None


def _begin(request: _Request, device: torch.device, init_from: InitFrom | None, log: Log) -> RunConfig:
    """Makes the run directory, or opens the existing one, and logs what will be trained."""
    (config, changes), run, store = request.configuration(log), request.run, request.store
    if changes is None:
        if init_from is not None:
            config = initialized_config(config, store, init_from)
        create_run(config, store, run, device, init_from, log)
        return config
    where = describe_device(device, config.model.tower_devices)
    _kind_of(config).log_summary(config, store, where, log)
    for change in changes:
        log(f"changed: {change}")
    write_environment(config, store, run, device)
    return config


def initialized_config(config: RunConfig, store: Store, init_from: InitFrom) -> RunConfig:
    """The configuration of a run that is initialized from other weights; errors as `bundle.load`.

    If the first layer is copied, images are normalized as those that it learned from.
    """
    source = bundle.load(init_from.path, "cpu", needs_weights=True)
    if init_from.layers and not {*parameter_layers(source.model)[:1]} <= {*init_from.layers}:
        return config
    own = Preprocessing.from_store(config.data, store, config.model.architecture.scaled_input_size)
    return normalized_as_source(config, own, source)


def _plan_of(config: RunConfig, store: Store) -> Plan:
    return make_plan(config, len(training_images(store, config.data)), distributed.world_size())


def _log_network_summary(config: RunConfig, store: Store, device: str, log: Log) -> None:
    images, processes = len(training_images(store, config.data)), distributed.world_size()
    plan, training = _plan_of(config, store), config.training
    parameters = sum(parameter.numel() for parameter in check_network(config, store).parameters())
    schedule, optimizer, model = config.schedule, config.optimizer, config.model
    log(f"{config.recipe}: {model_description(model)}; {parameters:,} parameters, seed {training.seed}")
    whole = f" of {len(store.joined(config.data.train_splits)):,}" if config.data.max_images else ""
    length = (
        f"{schedule.minutes:g} minutes, epochs" if schedule.minutes else counted(schedule.epochs, "epoch")
    )
    log(
        f"{images:,}{whole} images of {len(store.classes)} classes, "
        f"{length} of {counted(plan.steps_per_epoch, 'update')}"
    )
    _log_splits(config, log)
    if batches := describe_batches(training, images):
        log(batches)
    if warning := long_warmup(schedule):
        log(f"warning: {warning}")
    if processes > 1 or training.grad_accum_steps > 1:
        log(
            f"batch {training.batch_size}: {counted(processes, 'process')} of "
            f"{training.batch_size / processes:g} images, "
            f"each in {counted(training.grad_accum_steps, 'micro-batch')}"
        )
    log(f"learning rate {optimizer.lr:g} ({optimizer.name}, {schedule.name})")
    log(f"on {device}, {training.precision}")
    if training.precision == "bfloat16" and device.startswith("cpu") and not multiplies_bfloat16():
        log(
            "warning: this processor has no bfloat16 instructions: training.precision=float32 is many times "
            "faster here"
        )
    drops = make_schedule(schedule, optimizer.lr, plan.steps_per_epoch).phase(plan.total_steps - 1)
    if schedule.name == "step" and schedule.factor**drops < LOWEST_FRACTION:
        log(
            f"warning: the rate falls {drops} times, to {schedule.factor**drops:.0e} of the initial rate: "
            "set schedule.step_epochs with schedule.epochs"
        )
    if warning := late_milestones(schedule):
        log(f"warning: {warning}")


def _log_classic_summary(config: RunConfig, store: Store, device: str, log: Log) -> None:
    from alexnet.training import classic_trainer  # it loads scikit-learn, which networks do not need

    classic, model = classic_trainer.check_pipeline(config, store), summarize(config, len(store.classes))
    log(f"{config.recipe}: {model.parameters:,} learned numbers, seed {config.training.seed}")
    for each, layer in zip(classic.channels, model.layers, strict=True):
        patches, cells = ", ".join(map(str, each.patches)), " + ".join(each.pyramid)
        log(
            f"{layer.name}: {each.descriptor} of {patches} pixels, a step of {each.step}; {each.encoding}, "
            f"{each.codebook_size:,} words, {cells}: {layer.activations:,} numbers per photo"
        )
    images = len(training_images(store, config.data))
    log(f"{images:,} images of {len(store.classes)} classes, on {device}")
    _log_splits(config, log)
    if warning := few_photos(classic, images):
        log(f"warning: {warning}")


def _log_splits(config: RunConfig, log: Log) -> None:
    splits = config.data.train_splits
    if VALIDATION[0] in splits:
        log(
            f"trained on {' and '.join(splits)}: no images are left to validate on, the error on "
            f"{VALIDATION[0]} is a training error"
        )


def _silence(line: str) -> None:
    pass


FIXED = (
    "data.image_size",
    "data.input_size",
    "data.max_images",
    "data.train_splits",
    "optimizer.name",
    "schedule.name",
    "training.batch_size",
    "training.last_batch",
    "training.seed",
    "training.precision",
)
"""Settings that cannot change in a run, besides its model: its position or its state would become invalid."""


def resumed_config(run: RunDir, recipe: str, settings: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """The run's configuration with `settings` applied, and a line `key: old -> new` for each change.

    CommandError if the run has another recipe, or if a change would make it another model.
    """
    before = run.config()
    if recipe != before.recipe:
        raise CommandError(
            f"{run.path} is a run of {before.recipe}: type that recipe, or another directory with --run"
        )
    after = override(before, settings)
    fixed = {key: values for key, values in changes(before, after).items() if _is_fixed(key)}
    if fixed:
        raise CommandError(
            f"--resume cannot change {'; '.join(_lines(fixed))}: omit that setting, or train in a new folder"
        )
    averaged = [bool(config.training.ema_decay) for config in (before, after)]
    if averaged[0] != averaged[1]:
        raise CommandError("--resume cannot switch training.ema_decay on or off: train in a new folder")
    return after, differences(before, after)


def _is_fixed(key: str) -> bool:
    # Towers may move to other devices: weights and optimizer state are saved as for one device.
    return (
        key in FIXED
        or key.startswith("classic.")
        or (key.startswith("model.") and key != "model.tower_devices")
    )


def differences(before: RunConfig, after: RunConfig) -> list[str]:
    """`key: old -> new` for each setting that differs."""
    return _lines(changes(before, after))


def _lines(changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [f"{key}: {old} -> {new}" for key, (old, new) in changed.items()]
