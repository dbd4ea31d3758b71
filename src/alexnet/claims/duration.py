"""How long the missing runs of claims will take here: a few real updates and tests of each arm are timed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet.claims.claim import Arm
from alexnet.claims.train import errors, seen_in_training
from alexnet.claims.trial import Trial
from alexnet.claims.update_cost import update_seconds
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.subset import training_images
from alexnet.models.model_file import Loaded
from alexnet.models.registry import build_run
from alexnet.runs.folder import RunFolder
from alexnet.training.plan import Plan, make_plan

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


def costs(trials: Sequence[Trial], progress: Callable[[int], None] = lambda count: None) -> list[Cost]:
    """Of each arm that has runs to make, timed now on its own net and photos; `progress` counts arms."""
    left: dict[Arm, list[Trial]] = {}
    for trial in trials:
        if not trial.finished:
            left.setdefault(trial.arm, []).append(trial)
    made: list[Cost] = []
    for arm, runs in left.items():
        made.append(_cost(arm, runs))
        progress(1)
    return made


def _cost(arm: Arm, runs: Sequence[Trial]) -> Cost:
    first = runs[0]
    plan = plan_of(first)
    updates = [plan.total_steps - steps_done(trial.run) for trial in runs]
    tests = [-(-count // plan.validate_every_steps) for count in updates]
    update = update_seconds(first.config, first.store, first.device, TIMED, WARM_UP)
    seconds = sum(updates) * update + sum(tests) * _test_seconds(first)
    seeds, epochs = tuple(trial.seed for trial in runs), first.config.schedule.epochs
    return Cost(arm, seeds, epochs, sum(updates), sum(tests), seconds)


def plan_of(trial: Trial) -> Plan:
    """When what happens in a run."""
    return make_plan(trial.config, len(training_images(trial.store, trial.config.data)))


def steps_done(run: RunFolder) -> int:
    """Updates that a run would go on after."""
    meta = run.checkpoints / "last" / "meta.json"
    return json.loads(meta.read_text(encoding="utf-8"))["step"] if meta.is_file() else 0


def _test_seconds(trial: Trial) -> float:
    """Of one test of all validation photos and as many training photos, from a few of them."""
    validation = trial.store.split("val")
    images = len(validation) + len(seen_in_training(trial.config, trial.store))
    model = build_run(trial.config, len(trial.store.classes)).to(trial.device)
    preprocessing = Preprocessing.from_store(trial.config.data, trial.store)
    net = Loaded(model, trial.config, trial.store.classes, preprocessing, {})
    some = validation.part(np.arange(min(TESTED, len(validation))))
    errors(net, some.part(np.arange(1)))
    began = time.perf_counter()
    errors(net, some)
    return (time.perf_counter() - began) * images / len(some)
