"""What looking ten times, and asking several nets, is worth: from predictions kept in the runs' folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from alexnet.claims.measure import Value
from alexnet.claims.trial import Trial
from alexnet.data.views import usual_views
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import true_ranks
from alexnet.evaluation.tested import predictions_of
from alexnet.runs.predictions import Predictions

SPLIT = "val"


def predicted(trial: Trial, views: str) -> Predictions:
    """What the trained net says of the validation photos, kept in its folder."""
    return predictions_of(trial.run, trial.store, SPLIT, views, device=trial.device)


@dataclass(frozen=True)
class ErrorOf:
    """The validation error with some views of each photo."""

    views: str
    unit: str = "points"

    @property
    def words(self) -> str:
        """Which views."""
        return f"validation error, {self.views} view" + ("s" if self.views == "ten" else "")

    def of(self, trial: Trial) -> Value | None:
        """A fraction."""
        return None if trial.diverged else Value(float(_wrong(predicted(trial, self.views)).mean()))


@dataclass(frozen=True)
class EnsembleGain:
    """How many more errors a net alone makes than `nets` of them averaged, photo by photo.

    With the usual views: ten crops, or the central one of nets that were not trained on mirrored photos.
    """

    nets: int
    unit: str = "points"

    @property
    def words(self) -> str:
        """How many nets."""
        return f"errors of one net less those of {self.nets} averaged"

    def of(self, trial: Trial) -> Value | None:
        """Nothing: it is of several nets."""
        return None

    def of_photos(self, trials: Sequence[Trial]) -> list[float] | None:
        """For each photo the share of nets that are wrong, less that of choices of them; None if too few."""
        made = [
            predicted(trial, usual_views(trial.config.data.mirror)) for trial in trials if not trial.diverged
        ]
        if len(made) < self.nets:
            return None
        alone = np.mean([_wrong(each) for each in made], axis=0)
        choices = [_wrong(ensemble.mean(list(some))) for some in combinations(made, self.nets)]
        return (alone - np.mean(choices, axis=0)).tolist()


def _wrong(made: Predictions) -> npt.NDArray[np.bool_]:
    return true_ranks(made.probabilities, made.labels) > 0
