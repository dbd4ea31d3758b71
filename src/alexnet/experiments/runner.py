"""Makes the runs that are missing: each with the loop of `alexnet train`, tested on training photos too."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from alexnet.config import RunConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store, balanced, training_images
from alexnet.errors import WorkError
from alexnet.evaluation.inference import SQUARES_AT_ONCE, batches_seen, score
from alexnet.evaluation.metrics import count_errors, mean_nll, true_ranks
from alexnet.evaluation.views import looks_for
from alexnet.experiments.claims import DIVERGED, ERROR, TRAINING_ERROR, Arm, ArmRun
from alexnet.experiments.measures import update_seconds
from alexnet.io import write_whole
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build_run
from alexnet.runs.environment import Environment
from alexnet.runs.run_dir import RunDir
from alexnet.training.plan import Plan, make_plan
from alexnet.training.step import LOWER_RATE
from alexnet.training.trainer import Progress, train

Evaluate = Callable[[nn.Module], Mapping[str, Any]]
VALIDATION, VIEWS = "val", "center"


def train_trial(
    trial: ArmRun,
    device: str,
    command: Sequence[str],
    minutes: float | None,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Trains a run to its end, from where it was left; `device` is in words, `command` what was typed.

    A net whose loss is no number any more is noted as diverged, and is not tried again. Stopped after
    saving, at a signal or after `minutes`; other errors as `loop.train`.
    """
    run, store = trial.run, trial.store
    begun = run.config_file.is_file()
    if not begun:
        RunDir.create(run.path, trial.config)
    if not run.environment_file.is_file():
        run.write_environment(Environment.of_this_process(device, command, store.path, store.digest))
    try:
        train(
            *(trial.config, store, run),
            evaluate=evaluation(trial.config, store),
            device=trial.device,
            resume=begun,
            minutes=minutes,
            progress=progress,
            say=say,
        )
    except WorkError as error:
        if LOWER_RATE not in str(error):
            raise
        write_whole(run.path / DIVERGED, f"{error}\n".encode())
        say(f"{trial.name} diverged: {error}")
    _keep_weights_alone(run)


def evaluation(config: RunConfig, store: Store) -> Evaluate:
    """Tests a net on the validation photos and on as many of those it learns from, both alike.

    One central view, without augmentation and dropout. Adds `training_error` and `training_nll` to what
    `alexnet train` logs.
    """
    preprocessing = Preprocessing.from_store(config.data, store)
    splits = {"": store.split(VALIDATION), "training": seen_in_training(config, store)}

    def evaluate(model: nn.Module) -> Mapping[str, Any]:
        net = ModelBundle(model, config, store.classes, preprocessing, {})
        ours, seen = (errors(net, split) for split in splits.values())
        return {
            "images": len(splits[""]),
            **ours,
            TRAINING_ERROR: seen[ERROR],
            "training_nll": seen["nll"],
        }

    return evaluate


def seen_in_training(config: RunConfig, store: Store) -> Split:
    """As many of a run's training photos as there are validation photos, or all: balanced, the same ones."""
    images = training_images(store, config.data)
    return images.part(np.sort(balanced(images)[: len(store.split(VALIDATION))]))


def errors(net: ModelBundle, split: Split) -> dict[str, Any]:
    """`top1_error`, `top5_error` (None with five classes or fewer) and `nll` of all images of a split.

    WorkError where an answer is no number.
    """
    looks, labels = looks_for(net, VIEWS), split.labels.astype(np.int64)
    probabilities = np.empty((len(split), len(net.classes)), np.float32)
    for numbers, (squares,) in batches_seen(net, split, looks, SQUARES_AT_ONCE):
        probabilities[numbers] = score(net, looks, [torch.from_numpy(squares)])
    if not np.isfinite(probabilities).all():
        raise WorkError(f"the net's answers to the {split.name} images are not finite; {LOWER_RATE}")
    ranks = true_ranks(probabilities, labels)
    few = probabilities.shape[1] <= 5
    return {
        "top1_error": count_errors(ranks, 1) / len(split),
        "top5_error": None if few else count_errors(ranks, 5) / len(split),
        "nll": mean_nll(probabilities, labels),
    }


def _keep_weights_alone(run: RunDir) -> None:
    """What only a run that goes on needs is dropped: it is several times as large as the weights."""
    last = (run.checkpoints / "last").resolve()
    for path in run.checkpoints.glob("step-*"):
        if path.resolve() != last:
            shutil.rmtree(path)
    best = run.checkpoints / "best"
    if best.is_symlink() and not best.exists():
        best.unlink()
    (last / "state.pt").unlink(missing_ok=True)


WARM_UP, TIMED = 1, 3
"""Updates of each arm."""
TESTED = 128
"""Images that are timed in a test."""


@dataclass(frozen=True)
class Cost:
    """What is left to do of an arm's runs."""

    arm: Arm
    seeds: tuple[int, ...]
    """Of the runs that are not finished."""
    epochs: int
    """Of each run."""
    updates: int
    """Left in all of them."""
    tests: int
    """Left in all of them."""
    seconds: float

    @property
    def minutes(self) -> float:
        """Of training and testing."""
        return self.seconds / 60

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        kept = ("seeds", "epochs", "updates", "minutes")
        return {"arm": self.arm.name, **{name: getattr(self, name) for name in kept}}


def costs(trials: Sequence[ArmRun], progress: Callable[[int], None] = lambda count: None) -> list[Cost]:
    """Of each arm that has runs to make, timed now on its own net and photos; `progress` counts arms."""
    left: dict[Arm, list[ArmRun]] = {}
    for trial in trials:
        if not trial.finished:
            left.setdefault(trial.arm, []).append(trial)
    made: list[Cost] = []
    for arm, runs in left.items():
        made.append(_cost(arm, runs))
        progress(1)
    return made


def _cost(arm: Arm, runs: Sequence[ArmRun]) -> Cost:
    first = runs[0]
    plan = plan_of(first)
    updates = [plan.total_steps - steps_done(trial.run) for trial in runs]
    tests = [-(-count // plan.validate_every_steps) for count in updates]
    update = update_seconds(first.config, first.store, first.device, TIMED, WARM_UP)
    seconds = sum(updates) * update + sum(tests) * _test_seconds(first)
    seeds, epochs = tuple(trial.seed for trial in runs), first.config.schedule.epochs
    return Cost(arm, seeds, epochs, sum(updates), sum(tests), seconds)


def plan_of(trial: ArmRun) -> Plan:
    """When what happens in a run."""
    return make_plan(trial.config, len(training_images(trial.store, trial.config.data)))


def steps_done(run: RunDir) -> int:
    """Updates that a run would go on after."""
    meta = run.checkpoints / "last" / "meta.json"
    return json.loads(meta.read_text(encoding="utf-8"))["step"] if meta.is_file() else 0


def _test_seconds(trial: ArmRun) -> float:
    """Of one test of all validation photos and as many training photos, from a few of them."""
    validation = trial.store.split("val")
    images = len(validation) + len(seen_in_training(trial.config, trial.store))
    model = build_run(trial.config, len(trial.store.classes)).to(trial.device)
    preprocessing = Preprocessing.from_store(trial.config.data, trial.store)
    net = ModelBundle(model, trial.config, trial.store.classes, preprocessing, {})
    some = validation.part(np.arange(min(TESTED, len(validation))))
    errors(net, some.part(np.arange(1)))
    began = time.perf_counter()
    errors(net, some)
    return (time.perf_counter() - began) * images / len(some)
