"""What training costs, measured: time and memory of an update, and how long unfinished runs will take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.config import RunConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store, training_images
from alexnet.experiments.arms import Arm, ArmRun
from alexnet.experiments.validation import VALIDATION, training_sample, validation_errors
from alexnet.hardware import synchronize
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build_run
from alexnet.runs.checkpoints import find_checkpoint
from alexnet.runs.run_dir import RunDir
from alexnet.training.plan import Plan, make_plan
from alexnet.training.step import update
from alexnet.training.train_state import build_train_state
from alexnet.training.trainer import training_loader

WARM_UP, TIMED = 2, 7
"""Number of updates for warming up, and of timed updates."""
PLAN_WARM_UP, PLAN_TIMED = 1, 3
"""The same for each arm, if only the duration of its runs is estimated."""
TESTED = 128
"""Number of images with which a validation is timed."""


def update_seconds(
    config: RunConfig, store: Store, device: torch.device, timed: int = TIMED, warm_up: int = WARM_UP
) -> float:
    """Median seconds of real updates of a configuration, reading the images included, after a warm-up."""
    ends = [time.perf_counter()]
    for do in _updates(config, store, device, warm_up + timed):  # it reads the batch
        do()
        synchronize(device)
        ends.append(time.perf_counter())
    return statistics.median([after - before for before, after in pairwise(ends)][warm_up:])


def update_bytes(config: RunConfig, store: Store, device: torch.device) -> int:
    """Peak memory of one update: on a CPU, the bytes of the values kept for the backward pass, each counted
    once; on a GPU, the peak that torch has allocated, including parameters.
    """
    for number, do in enumerate(_updates(config, store, device, 2)):
        if number == 0:
            do()  # creates the optimizer's state
        elif device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            do()
            return torch.cuda.max_memory_allocated(device)
        else:
            with kept_for_gradients() as kept:
                do()
            return sum(kept.values())
    return 0


@contextmanager
def kept_for_gradients() -> Generator[dict[int, int]]:
    """Collects the bytes of each memory block that is kept for a backward pass within the context, by its
    address.
    """
    kept: dict[int, int] = {}
    held: list[Tensor] = []  # so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in kept:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def _updates(
    config: RunConfig, store: Store, device: torch.device, count: int
) -> Iterator[Callable[[], object]]:
    """The first updates of a run, each made when it is called; its batch is read in between."""
    images = training_images(store, config.data)
    state = build_train_state(config, store, device, make_plan(config, len(images)).steps_per_epoch)
    loader = training_loader(config, store, device)
    for step, (epoch, batch) in enumerate(islice(loader.forever(), count)):
        yield lambda step=step, epoch=epoch, batch=batch: update(state, batch, epoch, step, color_noise=True)


@dataclass(frozen=True)
class Cost:
    """The remaining work of an arm's runs."""

    arm: Arm
    seeds: tuple[int, ...]
    """Seeds of the runs that are not finished."""
    epochs: int
    """Epochs of each run."""
    updates: int
    """Remaining updates in all of them."""
    tests: int
    """Remaining validations in all of them."""
    seconds: float

    @property
    def minutes(self) -> float:
        """Minutes of training and validation."""
        return self.seconds / 60

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        kept = ("seeds", "epochs", "updates", "minutes")
        return {"arm": self.arm.name, **{name: getattr(self, name) for name in kept}}


def costs(runs: Sequence[ArmRun], progress: Callable[[int], None] = lambda count: None) -> list[Cost]:
    """The cost of each arm with unfinished runs, timed on its model and images; `progress` counts arms."""
    left: dict[Arm, list[ArmRun]] = {}
    for run in runs:
        if not run.finished:
            left.setdefault(run.arm, []).append(run)
    made: list[Cost] = []
    for arm, unfinished in left.items():
        made.append(_cost(arm, unfinished))
        progress(1)
    return made


def _cost(arm: Arm, runs: Sequence[ArmRun]) -> Cost:
    first = runs[0]
    plan = plan_of(first)
    updates = [plan.total_steps - steps_done(each.run) for each in runs]
    tests = [-(-count // plan.validate_every_steps) for count in updates]
    update = update_seconds(first.config, first.store, first.device, PLAN_TIMED, PLAN_WARM_UP)
    seconds = sum(updates) * update + sum(tests) * _test_seconds(first)
    seeds, epochs = tuple(each.seed for each in runs), first.config.schedule.epochs
    return Cost(arm, seeds, epochs, sum(updates), sum(tests), seconds)


def plan_of(run: ArmRun) -> Plan:
    """The plan of a run."""
    return make_plan(run.config, len(training_images(run.store, run.config.data)))


def steps_done(run: RunDir) -> int:
    """Updates before the checkpoint that a run would resume from."""
    last = find_checkpoint(run.checkpoints)
    return 0 if last is None else last.step


def _test_seconds(run: ArmRun) -> float:
    """Seconds of one validation on all validation and as many training images, estimated from a few."""
    validation = run.store.split(VALIDATION)
    images = len(validation) + len(training_sample(run.config, run.store))
    model = build_run(run.config, len(run.store.classes)).to(run.device)
    preprocessing = Preprocessing.from_store(run.config.data, run.store)
    bundle = ModelBundle(model, run.config, run.store.classes, preprocessing, {})
    some = validation.part(np.arange(min(TESTED, len(validation))))
    validation_errors(bundle, some.part(np.arange(1)))
    began = time.perf_counter()
    validation_errors(bundle, some)
    return (time.perf_counter() - began) * images / len(some)
