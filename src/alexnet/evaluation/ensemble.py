"""Several runs as one: the mean of their saved probabilities.

Source: Krizhevsky, Sutskever, Hinton 2012, section 6 ("averaging the predictions of five similar CNNs").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alexnet.errors import DataError
from alexnet.runs.predictions import Predictions


def mean(members: Sequence[Predictions]) -> Predictions:
    """The members' probabilities averaged, all with the same weight; one member is returned as it is.

    DataError where the members did not see the same images in the same order with the same classes and views.
    """
    first, *others = members
    if not others:
        return first
    for place, other in enumerate(others, start=2):
        _same_question(first, other, place)
    # Float64 sums of a few float32 numbers: the members' order cannot show in the float32 result.
    total = first.probabilities.astype(np.float64)
    for other in others:
        total += other.probabilities
    probabilities = (total / len(members)).astype(np.float32)
    return replace(first, probabilities=probabilities, weights_digest="")


def _same_question(first: Predictions, other: Predictions, place: int) -> None:
    for what in ("split", "views", "classes", "keys", "labels"):
        if not np.array_equal(getattr(first, what), getattr(other, what)):
            raise DataError(f"an ensemble needs the same {what} in all runs; those of run {place} differ")
