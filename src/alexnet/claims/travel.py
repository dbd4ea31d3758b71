"""Features that travel: what fc7 of a net says of photos of other classes, and a linear classifier of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.claims.measure import Value
from alexnet.claims.trial import Trial
from alexnet.data.sources.contract import Labels
from alexnet.data.subset import TRAIN, balanced
from alexnet.features.extract import features_of

SPLIT = "val"
ITERATIONS = 2000


@dataclass(frozen=True)
class FeaturesError:
    """The validation error of a linear classifier of the last hidden layer of a net of other classes."""

    per_class: int
    unit: str = "points"

    @property
    def words(self) -> str:
        """From how many photos it learns."""
        return f"error of a linear classifier of features, {self.per_class} photos a class"

    def of(self, trial: Trial) -> Value | None:
        """A fraction; None where the net diverged or there is nothing to ask it about."""
        if trial.diverged or trial.target is None:
            return None
        target = trial.target
        train, test = target.split(TRAIN), target.split(SPLIT)
        chosen = balanced(train)[: self.per_class * len(target.classes)]
        seen = features_of(trial.run, target, TRAIN, device=trial.device)[np.sort(chosen)]
        asked = features_of(trial.run, target, SPLIT, device=trial.device)
        return Value(linear_error(seen, train.labels[np.sort(chosen)], asked, test.labels))


def linear_error(
    seen: npt.NDArray[np.float32], labels: Labels, asked: npt.NDArray[np.float32], truth: Labels
) -> float:
    """The share of (M, D) vectors that logistic regression on (N, D) labelled ones gets wrong."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of few vectors in many dimensions: it is near
        classifier.fit(seen, labels)
    return float((classifier.predict(asked) != truth).mean())
