"""What is measured of a trained net for a claim: numbers in the run's log, mostly.

Errors are fractions of images; the unit `points` says that a difference of them is shown in points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import torch

from alexnet.config import RunConfig
from alexnet.data.config import DataConfig
from alexnet.data.store import Store
from alexnet.models.config import AlexNetArchitecture
from alexnet.runs.metrics_log import has_finished, read_metrics, training_seconds
from alexnet.runs.run_dir import RunDir

TRAINING_ERROR, ERROR = "training_error", "top1_error"


@dataclass(frozen=True)
class Value:
    """One measured number."""

    number: float
    at_least: bool = False
    """Censored: it was not reached; the number is how far it was waited for."""


class Measure(Protocol):
    """A number of one trained net."""

    @property
    def words(self) -> str:
        """What the number is."""
        ...

    @property
    def unit(self) -> str:
        """`points` for errors, `epochs`, `seconds`, ...; empty for a bare number."""
        ...

    def of(self, trial: ArmRun) -> Value | None:
        """The number; None where the net has none, because it diverged."""
        ...


@dataclass(frozen=True)
class Last:
    """The last value of the log: at the end of training."""

    name: str = ERROR
    unit: str = "points"

    @property
    def words(self) -> str:
        """Which one."""
        return "training error" if self.name == TRAINING_ERROR else "validation error"

    def of(self, trial: ArmRun) -> Value | None:
        """A fraction."""
        return None if trial.diverged else Value(trial.tests[-1][self.name])


@dataclass(frozen=True)
class Gap:
    """How much worse the net is on photos that it was not trained on: overfitting."""

    words: str = "validation error less training error"
    unit: str = "points"

    def of(self, trial: ArmRun) -> Value | None:
        """A difference of fractions, at the end of training."""
        if trial.diverged:
            return None
        last = trial.tests[-1]
        return Value(last[ERROR] - last[TRAINING_ERROR])


@dataclass(frozen=True)
class After:
    """An error early in training."""

    epochs: float
    """Of the common net's passes through all photos."""
    name: str = TRAINING_ERROR
    unit: str = "points"

    @property
    def words(self) -> str:
        """Which error, and when."""
        return f"{Last(self.name).words} after epoch {self.epochs:g}"

    def of(self, trial: ArmRun) -> Value | None:
        """A fraction, of the last test no later than that, or of the first; None where the run is shorter."""
        if trial.diverged or trial.epochs < self.epochs:
            return None
        early = [line for line in trial.tests if line["epoch"] <= self.epochs]
        return Value((early or trial.tests)[-1 if early else 0][self.name])


@dataclass(frozen=True)
class EpochsTo:
    """Epochs until the training error has fallen to a threshold; between two tests in a straight line."""

    error: float
    unit: str = "epochs"

    @property
    def words(self) -> str:
        """With the threshold."""
        return f"epochs to a training error of {100 * self.error:g} %"

    def of(self, trial: ArmRun) -> Value:
        """Censored where the net did not get there, or diverged: more than it was trained for."""
        lines = [] if trial.diverged else trial.tests
        return epochs_to(lines, self.error, trial.epochs)


def epochs_to(lines: Sequence[Mapping[str, Any]], error: float, epochs: float) -> Value:
    """When the `training_error` of `lines`, by rising `epoch`, fell to `error`; else more than `epochs`.

    Before any training it counts as 1 (nothing right) at epoch 0.
    """
    before = {"epoch": 0.0, TRAINING_ERROR: 1.0}
    for line in lines:
        if line[TRAINING_ERROR] <= error:
            share = (before[TRAINING_ERROR] - error) / (before[TRAINING_ERROR] - line[TRAINING_ERROR])
            return Value(before["epoch"] + share * (line["epoch"] - before["epoch"]))
        before = line
    return Value(epochs, at_least=True)


Photos = Literal["all", "other", "target"]
"""What a net is trained on: the store; other classes than those it is asked about; these classes alone."""
SEEDS = (0, 1, 2)
LEAST_SEEDS = 3
"""With fewer there is no verdict."""


@dataclass(frozen=True)
class Arm:
    """One way to train: what it changes of the common net and training; trained once for all claims."""

    name: str
    """Of its runs' folders, `<name>-seed-0`, and in tables and figures."""
    settings: tuple[str, ...] = ()
    """`key=value`, as `alexnet train` takes them."""
    net: Callable[[AlexNetArchitecture, DataConfig], AlexNetArchitecture] | None = None
    """Changes the common net, given with what it sees; None is that net."""
    recipe: str = ""
    """Another recipe instead of the common net's; it keeps its own update rule."""
    longer: float = 1.0
    """Updates as a multiple of the common number."""
    share: float = 1.0
    """Of the training photos, balanced over classes. The number of updates is the same."""
    per_class: int = 0
    """Training photos of each class; 0 is all. The number of updates is the same."""
    photos: Photos = "all"


@dataclass(frozen=True)
class Band:
    """Values that count as held, in the measure's unit; ends that are not finite belong to it."""

    low: float = -math.inf
    high: float = math.inf

    def words(self, unit: str = "") -> str:
        """For people: `above 0 points`, `1 to 4 points`."""
        scale = 100 if unit == "points" else 1
        low, high = (f"{scale * end:g}" for end in (self.low, self.high))
        unit = f" {unit}" if unit else ""
        if math.isinf(self.high):
            return f"above {low}{unit}"
        return f"below {high}{unit}" if math.isinf(self.low) else f"{low} to {high}{unit}"


ABOVE_0, ABOVE_1 = Band(low=0.0), Band(low=1.0)


@dataclass(frozen=True)
class Comparison:
    """A number for each seed: `measure` of the first arm less, or over, that of the second."""

    words: str
    """What the number is: "training error without dropout, less that with"."""
    measure: Measure
    first: tuple[Arm, ...]
    """Of several the lowest value counts, for each seed: each net at its best."""
    band: Band
    second: tuple[Arm, ...] = ()
    """None where the measure of the first is the number itself."""
    other_measure: Measure | None = None
    """Of the second, where it is another one."""
    ratio: bool = False
    """First over second instead of their difference."""
    decides: bool = True
    """Whether the claim's verdict hangs on it; else it is measured beside it."""
    paper: str = ""
    """What the source says the number is."""
    left_out: str = ""
    """Why it cannot be tested where the claim is; empty where it can."""

    @property
    def unit(self) -> str:
        """Of the number and of its band."""
        return "times" if self.ratio else self.measure.unit

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All that must be trained for it: none where it is left out."""
        return () if self.left_out else (*self.first, *self.second)


@dataclass(frozen=True)
class Claim:
    """A statement of the lecture, and how it is tested."""

    id: str
    statement: str
    source: str
    comparisons: tuple[Comparison, ...]
    curve: Literal["top1_error", "training_error"] = "top1_error"
    """What its figure shows over the epochs, of all arms."""
    seeds: tuple[int, ...] = SEEDS
    remarks: tuple[str, ...] = ()
    """What has to be known to read the verdict."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All that must be trained for it, in order, each once."""
        return tuple(dict.fromkeys(arm for each in self.comparisons for arm in each.arms))


DIVERGED = "diverged.txt"
"""Beside a run's log, with the reason, where its loss was no longer a number."""


@dataclass(frozen=True, eq=False)
class ArmRun:
    """A run of an arm with a seed; finished, unless `finished` says otherwise."""

    arm: Arm
    seed: int
    run: RunDir
    config: RunConfig
    store: Store
    """What it is trained on."""
    target: Store | None
    """The classes that a net of other classes is asked about."""
    device: torch.device

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.run.path.name

    @property
    def diverged(self) -> bool:
        """Whether its loss was no longer a number: it has no errors."""
        return (self.run.path / DIVERGED).is_file()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverged or has_finished(self.run.metrics_file)

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """What the log says of each test while it was trained, the oldest first."""
        return [line for line in read_metrics(self.run.metrics_file) if line["event"] == "validation"]

    @property
    def epochs(self) -> float:
        """That it is trained for."""
        return float(self.config.schedule.epochs)

    def facts(self) -> dict[str, Any]:
        """What is kept of it for the record; errors are fractions."""
        kept = (
            "step",
            "epoch",
            "images",
            "top1_error",
            "top5_error",
            "nll",
            "training_error",
            "training_nll",
        )
        return {
            "run": self.name,
            "arm": self.arm.name,
            "seed": self.seed,
            "diverged": self.diverged,
            "seconds": training_seconds(self.run.metrics_file),
            "tests": [] if self.diverged else [{key: line[key] for key in kept} for line in self.tests],
        }
