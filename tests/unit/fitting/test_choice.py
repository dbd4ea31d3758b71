"""Which candidates are averaged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alexnet.evaluation import ensemble
from alexnet.fitting.choice import choose, wrong_predictions
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet

LABELS = np.arange(40) % 2


def predictions(right: npt.NDArray[np.bool_], confidence: float) -> Predictions:
    """Each photo's class has the probability `confidence`, or 0.4 where it is not `right`."""
    of_true = np.where(right, confidence, 0.4).astype(np.float32)
    probabilities = np.where(np.eye(2, dtype=bool)[LABELS], of_true[:, None], 1 - of_true[:, None])
    names = np.array(["a", "b"])
    return Predictions(
        split="val",
        views=ViewSet("center"),
        keys=np.array([f"{number}" for number in range(len(LABELS))]),
        classes=names,
        names=names,
        labels=LABELS,
        probabilities=probabilities.astype(np.float32),
    )


def right_except(*wrong: int) -> npt.NDArray[np.bool_]:
    return ~np.isin(np.arange(len(LABELS)), wrong)


def test_one_that_is_much_better_is_chosen_alone() -> None:
    good, bad = predictions(right_except(1), 0.95), predictions(right_except(*range(18)), 0.6)
    assert choose({"bad": bad, "good": good}) == ("good",)


def test_two_that_err_on_different_photos_are_averaged() -> None:
    first, second = predictions(right_except(*range(8)), 0.8), predictions(right_except(*range(20, 28)), 0.8)
    assert set(choose({"first": first, "second": second})) == {"first", "second"}


def test_a_copy_adds_nothing() -> None:
    one = predictions(right_except(3, 4), 0.9)
    assert choose({"one": one, "copy": one}) == ("one",)


def test_the_average_is_never_worse_than_the_best_single_one_on_the_photos_that_choose() -> None:
    random = np.random.default_rng(0)
    for _ in range(30):
        found = {
            name: predictions(
                random.random(len(LABELS)) < random.uniform(0.5, 0.95), random.uniform(0.55, 0.99)
            )
            for name in "abcd"
        }
        chosen = choose(found)
        together = ensemble.mean([found[name] for name in chosen])
        assert wrong_predictions(together) <= wrong_predictions(found[chosen[0]])
        assert len(chosen) == len(set(chosen)) <= 3
