"""`alexnet train RECIPE --store STORE --run RUN`: a recipe and a store become a run folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch

    from alexnet.config import RunConfig
    from alexnet.data.store import Store
    from alexnet.runs.environment import Environment
    from alexnet.training.trainer import Result
    from alexnet.training.transfer import InitFrom

LOWEST_FRACTION = 0.9e-3
"""Three drops by 10 are what recipes have; below, the drops were meant for fewer epochs."""


def command(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="`alexnet recipes` lists them.")],
    store: Annotated[Path, typer.Option(help="What `alexnet prepare` made.")],
    run: Annotated[Path, typer.Option(help="A new folder for everything the run leaves.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value]...", help="Such as schedule.epochs=30.")
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="RUN|FILE", help="Begin with the weights of that trained net.")
    ] = None,
    init_layers: Annotated[
        str, typer.Option(metavar="LAYER,...", help="Take only these layers from it: conv1,conv2.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run, if it has begun.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="Then save and exit with code 75.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:NUMBER.")] = "auto",
) -> None:
    """Train a recipe on a store. Ctrl-C and SIGTERM save and exit with code 75; --resume goes on.

    On several GPUs: torchrun --nproc-per-node 4 -m -- alexnet train RECIPE ... (all must see STORE and RUN).

    A net of two towers on two GPUs: model.tower_devices=cuda:0,cuda:1; with torchrun each process takes two.
    """
    from alexnet import distributed
    from alexnet.errors import CommandError
    from alexnet.hardware import choose_device

    if init_layers and init_from is None:
        raise CommandError("--init-layers goes with --init-from RUN: whose layers should be taken?")
    # All processes read what it is before the first of them writes, which is after all have joined.
    config, _ = _configured(recipe, run, settings or [], resume)
    chosen = choose_device(device, config.model.tower_devices)
    with distributed.running(chosen):
        layers = tuple(filter(None, init_layers.split(",")))
        train_run(recipe, store, run, settings or [], chosen, resume, minutes, init_from, layers)
        if distributed.is_main():
            _say(f"next: alexnet evaluate {run} --store {store}")


def train_run(
    recipe: str,
    store: Path,
    run: Path,
    settings: list[str],
    device: torch.device,
    resume: bool,
    minutes: float | None,
    init_from: Path | None = None,
    init_layers: tuple[str, ...] = (),
) -> None:
    """Trains one run to its end, or raises `Stopped`, and says how it went."""
    from alexnet import distributed
    from alexnet.cli.progress import progress_bar
    from alexnet.data.store import Store
    from alexnet.runs.metrics_log import error_names
    from alexnet.runs.run_dir import RunDir, find_weights
    from alexnet.tasks.validation import VALIDATION, evaluation
    from alexnet.training.transfer import InitFrom

    opened = Store.open(store)
    opened.split(VALIDATION[0])
    source = None if init_from is None else InitFrom(find_weights(init_from), init_layers)
    config = distributed.broadcast_result(
        lambda: _begin(recipe, opened, run, settings, resume, device, source)
    )
    is_main = distributed.is_main()
    result = _training(config, source)(
        config,
        opened,
        RunDir(run),
        evaluate=evaluation(config, opened),
        device=device,
        resume=resume,
        minutes=minutes,
        progress=lambda total, done: progress_bar(
            "training", total, done=done, unit="images", silent=not is_main
        ),
        say=_say,
    )
    work = f"{result.step:,} updates" if config.classic is None else f"coding {result.step:,} photos"
    if is_main:
        _say(
            f"done after {work}: {error_names(config.training.loss).validation} "
            f"{result.errors['top1_error']:.4f} (best {result.best_top1_error:.4f}) on {VALIDATION[0]}"
        )


def _training(config: RunConfig, init_from: InitFrom | None) -> Callable[..., Result]:
    """What trains a run of that configuration: the loop of nets, or the fitting of classic pipelines."""
    from functools import partial

    from alexnet.errors import CommandError
    from alexnet.training.trainer import train

    if config.classic is None:
        return partial(train, init_from=init_from)
    if init_from is not None:
        raise CommandError(f"{config.recipe} is no net: it cannot begin with weights; leave --init-from out")
    from alexnet.training.classic_trainer import fit

    return fit


def _configured(
    recipe: str, run: Path, settings: list[str], resume: bool
) -> tuple[RunConfig, list[str] | None]:
    """The run's configuration, and what is changed of it where the run goes on; None where it begins."""
    from alexnet import recipes
    from alexnet.config import override
    from alexnet.runs.run_dir import RunDir
    from alexnet.training.resume import resumed_config

    begun = RunDir(run)
    if resume and begun.config_file.is_file():
        return resumed_config(begun, recipe, settings)
    return override(recipes.get(recipe), settings), None


def _begin(
    recipe: str,
    store: Store,
    run: Path,
    settings: list[str],
    resume: bool,
    device: torch.device,
    init_from: InitFrom | None,
) -> RunConfig:
    """Makes the run's folder, or finds it again, and says what is about to be trained."""
    from alexnet.hardware import describe_device
    from alexnet.runs.run_dir import RunDir
    from alexnet.training.transfer import refuse_without_net

    config, changes = _configured(recipe, run, settings, resume)
    where = describe_device(device, config.model.tower_devices)
    if changes is not None:
        _introduce(config, store, where)
        for change in changes:
            _say(f"changed: {change}")
        if not RunDir(run).environment_file.is_file():  # killed between the two
            RunDir(run).write_environment(_environment(where, store))
        return config
    RunDir.refuse_taken(run)
    _training(config, init_from)
    if init_from is not None:
        _try(init_from, config, store)
    else:
        refuse_without_net(config)
    _introduce(config, store, where)
    RunDir.create(run, config).write_environment(_environment(where, store))
    return config


def _environment(device: str, store: Store) -> Environment:
    from alexnet import distributed
    from alexnet.runs.environment import Environment

    return Environment.of_this_process(
        device, sys.argv, store.path, store.digest, processes=distributed.world_size()
    )


def _try(init_from: InitFrom, config: RunConfig, store: Store) -> None:
    """DataError, before anything is written, where that net's weights do not fit."""
    from alexnet.models import bundle
    from alexnet.training.train_state import check
    from alexnet.training.transfer import match

    match(check(config, store), store.classes, bundle.load_safetensors(init_from.path), init_from.layers)


def _introduce(config: RunConfig, store: Store, device: str) -> None:
    """Says what is about to be trained; CommandError, before anything is written, where it does not fit."""
    if config.classic is not None:
        _introduce_classic(config, store, device)
        return
    from alexnet import distributed
    from alexnet.data.store import training_images
    from alexnet.hardware import multiplies_bfloat16
    from alexnet.optim.schedules import make_schedule
    from alexnet.training.plan import make_plan
    from alexnet.training.train_state import check

    images, processes = len(training_images(store, config.data)), distributed.world_size()
    plan, training = make_plan(config, images, processes), config.training
    parameters = sum(parameter.numel() for parameter in check(config, store).parameters())
    schedule, optimizer, net = config.schedule, config.optimizer, config.model
    _say(f"{config.recipe}: {net.name} {net.variant}, {parameters:,} parameters, seed {training.seed}")
    whole = f" of {len(store.split('train')):,}" if config.data.max_images else ""
    _say(
        f"{images:,}{whole} images of {len(store.classes)} classes, "
        f"{schedule.epochs} epochs of {plan.steps_per_epoch:,} updates"
    )
    _say(
        f"batch {training.batch_size}: {processes} process(es) of "
        f"{training.batch_size / processes:g} images, "
        f"each in {training.grad_accum_steps} micro-batch(es)"
    )
    _say(f"learning rate {optimizer.lr:g} ({optimizer.name}, {schedule.name})")
    _say(f"on {device}, {training.precision}")
    if training.precision == "bfloat16" and device.startswith("cpu") and not multiplies_bfloat16():
        _say("warning: this processor has no bfloat16: training.precision=float32 is many times faster here")
    drops = make_schedule(schedule, optimizer.lr, plan.steps_per_epoch).phase(plan.total_steps - 1)
    if schedule.name == "step" and schedule.factor**drops < LOWEST_FRACTION:
        _say(
            f"warning: the rate falls {drops} times, to {schedule.factor**drops:.0e} of the first: "
            "set schedule.step_epochs with schedule.epochs"
        )
    late = [f"{epoch:g}" for epoch in schedule.milestones if epoch >= schedule.epochs]
    if late:
        _say(
            f"warning: the rate does not fall after epochs {', '.join(late)}, which the run does not reach: "
            "set schedule.milestones with schedule.epochs"
        )


def _introduce_classic(config: RunConfig, store: Store, device: str) -> None:
    """The same of a classic pipeline."""
    from alexnet.data.store import training_images
    from alexnet.models.summary import summarize
    from alexnet.training.classic_trainer import check

    classic, net = check(config, store), summarize(config, len(store.classes))
    _say(f"{config.recipe}: {net.parameters:,} learned numbers, seed {config.training.seed}")
    for each, layer in zip(classic.channels, net.layers, strict=True):
        patches, cells = ", ".join(map(str, each.patches)), " + ".join(each.pyramid)
        _say(
            f"{layer.name}: {each.descriptor} of {patches} pixels, a step of {each.step}; {each.encoding}, "
            f"{each.words:,} words, {cells}: {layer.activations:,} numbers a photo"
        )
    images = len(training_images(store, config.data))
    _say(f"{images:,} images of {len(store.classes)} classes, on {device}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
