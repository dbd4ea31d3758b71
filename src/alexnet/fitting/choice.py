"""Which candidates' probabilities are averaged: chosen on photos that none of them was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import count_errors, mean_nll, true_ranks
from alexnet.runs.predictions import Predictions

MAX_MEMBERS = 3
"""Each further one makes predictions slower."""
MIN_GAIN = 0.02
"""A further member must lower the loss by this fraction of it."""


def choose(candidates: Mapping[str, Predictions]) -> tuple[str, ...]:
    """The names of the candidates to average: the one with the lowest loss, and others that lower it further.

    One candidate is added at a time, the best one first, as long as the mean's loss and its number of errors
    become lower, or the errors stay the same. The loss is the mean of -ln(probability of the true class): on
    few photos it is less noisy than the number of errors. Source: Caruana et al. 2004, "Ensemble selection
    from libraries of models", section 2, without replacement.
    """
    rest = dict(candidates)
    chosen: list[str] = []
    lowest, errors = np.inf, np.inf
    while rest and len(chosen) < MAX_MEMBERS:
        members = [candidates[name] for name in chosen]
        tried = {name: ensemble.mean([*members, each]) for name, each in rest.items()}
        losses = {name: mean_nll(each.probabilities, each.labels) for name, each in tried.items()}
        best = min(losses, key=lambda name: losses[name])
        if losses[best] > (1 - MIN_GAIN) * lowest or wrong_predictions(tried[best]) > errors:
            break
        lowest, errors = losses[best], wrong_predictions(tried[best])
        chosen.append(best)
        del rest[best]
    return tuple(chosen)


def wrong_predictions(predictions: Predictions) -> int:
    """Photos whose most probable class is wrong."""
    return count_errors(true_ranks(predictions.probabilities, predictions.labels), 1)
