"""Which images an evaluation got wrong, from saved predictions: what two of them are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import AlexNetError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import paired_interval, true_ranks
from alexnet.runs import predictions
from alexnet.runs.ensemble_folder import members_of


@dataclass(frozen=True, eq=False)
class Answers:
    """What was asked, and which answers were wrong."""

    store_digest: str
    split: str
    keys: npt.NDArray[np.str_]
    wrong: npt.NDArray[np.bool_]
    """(N,) whether the most probable class is not the true one."""

    def same_images(self, other: Answers) -> bool:
        """Whether both were asked about the same images in the same order."""
        mine, theirs = (self.store_digest, self.split), (other.store_digest, other.split)
        return mine == theirs and np.array_equal(self.keys, other.keys)

    def less(self, other: Answers) -> tuple[float, tuple[float, float]]:
        """This error rate less the other's, and its 95 % interval."""
        return float(self.wrong.mean() - other.wrong.mean()), paired_interval(self.wrong, other.wrong)


def answers_of(path: Path, entry: Mapping[str, Any]) -> Answers | None:
    """The answers behind an entry of the `evaluation.json` in a run's or an ensemble's folder.

    None where the predictions are no longer there, or are not those that were evaluated.
    """
    if not path.is_dir():
        return None
    checkpoint = entry["runs"][0]["checkpoint"]
    try:
        members = [
            predictions.load(predictions.path_of(run, entry["split"], entry["views"], checkpoint))
            for run in members_of([path])
        ]
        mean = ensemble.mean(members, entry.get("weights"), entry.get("mean", "probabilities"))
    except AlexNetError:
        return None
    wrong = true_ranks(mean.probabilities, mean.labels) > 0
    if mean.store_digest != entry["store_digest"] or wrong.sum() != entry["top1_errors"]:
        return None
    return Answers(mean.store_digest, mean.split, mean.keys, wrong)
