"""What is measured of a trained net for a claim: numbers in the run's log, mostly.

Errors are fractions of images; the unit `points` says that a difference of them is shown in points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from alexnet.claims.trial import Trial

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

    def of(self, trial: Trial) -> Value | None:
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

    def of(self, trial: Trial) -> Value | None:
        """A fraction."""
        return None if trial.diverged else Value(trial.tests[-1][self.name])


@dataclass(frozen=True)
class Gap:
    """How much worse the net is on photos that it was not trained on: overfitting."""

    words: str = "validation error less training error"
    unit: str = "points"

    def of(self, trial: Trial) -> Value | None:
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

    def of(self, trial: Trial) -> Value | None:
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

    def of(self, trial: Trial) -> Value:
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
