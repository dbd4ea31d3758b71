"""Ensembles: the mean of the saved probabilities of several runs, and the gain per additional model.

Source: Krizhevsky, Sutskever, Hinton 2012, section 6 ("averaging the predictions of five similar CNNs").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from alexnet.errors import CommandError, DataError
from alexnet.evaluation.metrics import (
    FEWEST_CLASSES,
    TOP,
    count_errors,
    mean_nll,
    paired_interval,
    refuse_unlabeled,
    true_ranks,
)
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import GrowthStep, wilson_interval

Of = Literal["probabilities", "logits"]
"""What is averaged; `logits` averages the logarithms of probabilities, and the result is normalized to sum to
1."""
ALL_CHOICES = 8
"""Up to this number of members, all subsets are tested (255 for 8)."""
_BLOCK = 1024
"""Number of images at a time: their probabilities fit into the processor's cache."""
_GRID = np.linspace(0.0, 1.0, 21)
_FIRST, _PASSES = 0.5, 5


def mean(
    members: Sequence[Predictions], weights: Sequence[float] | None = None, of: Of = "probabilities"
) -> Predictions:
    """The mean of the members' probabilities, with `weights` or equal weights; a single member is returned
    unchanged.

    Only the ratios of weights matter. CommandError if there is not one weight for each member, or if weights
    are negative or all 0. DataError if the members' images, their order, classes or views differ.
    """
    first, *others = members
    shares = check_averaging(len(members), weights, of)
    _refuse_different(members)
    if not others:
        return first
    probabilities = _mean([each.probabilities for each in members], shares, of)
    return replace(
        first,
        probabilities=probabilities,
        weights_digest="",
        scales=np.unique(np.concatenate([each.scales for each in members])),
        seconds=sum(each.seconds for each in members),
        multiply_adds=sum(each.multiply_adds for each in members),
    )


def check_averaging(
    count: int, weights: Sequence[float] | None = None, of: str = "probabilities"
) -> npt.NDArray[np.float64]:
    """(count,) the weights of `count` members, 1 each by default; errors as `mean`."""
    if of not in get_args(Of):
        raise CommandError(f"no mean of {of!r}; it must be of {' or '.join(get_args(Of))}")
    shares = np.ones(count) if weights is None else np.array(weights, np.float64)
    if len(shares) != count:
        raise CommandError(f"{len(shares)} weights for {count} runs: type one for each")
    if not np.isfinite(shares).all() or shares.min() < 0 or not shares.any():
        raise CommandError("weights must be numbers of at least 0, and not all 0")
    return shares


def search_weights(members: Sequence[Predictions], of: Of = "probabilities") -> tuple[float, ...]:
    """The weights, one per member, with which the mean has the lowest NLL on these images, which must not be
    those that are reported.

    Weights start at 0.5. One after the other is tried at 0, 0.05 ... 1, in at most five passes.
    Source: the 2012 source's avg-valid.py, which minimized the top-5 error of the reported images.
    """
    _refuse_different(members)
    refuse_unlabeled(members[0].split, members[0].labels)
    rows, labels = [each.probabilities for each in members], members[0].labels
    if of == "probabilities":  # the loss only needs the mean at the true class
        rows = [np.take_along_axis(row, labels[:, None], axis=1) for row in rows]
        labels = np.zeros_like(labels)
    best = np.full(len(members), _FIRST)
    lowest = mean_nll(_mean(rows, best, of), labels)
    for _ in range(_PASSES):
        before = best.copy()
        for index in range(len(members)):
            for value in _GRID:
                tried = best.copy()
                tried[index] = value
                if tried.any() and (nll := mean_nll(_mean(rows, tried, of), labels)) < lowest:
                    best, lowest = tried, nll
        if np.array_equal(best, before):
            break
    return tuple(round(float(weight), 2) for weight in best)


def growth(
    members: Sequence[Predictions], weights: Sequence[float] | None = None, of: Of = "probabilities"
) -> list[GrowthStep]:
    """The errors of the first 1, 2, ... members, in the given order.

    Leading steps in which all weights are 0 are left out.
    """
    shares = check_averaging(len(members), weights, of)
    _refuse_different(members)
    images, few = len(members[0].labels), members[0].probabilities.shape[1] < FEWEST_CLASSES
    steps: list[GrowthStep] = []
    before: npt.NDArray[np.bool_] | None = None
    for nets in range(1, len(members) + 1):
        first = range(nets)
        if not shares[first].any():
            continue
        ranks = _ranks(members, first, shares, of)
        wrong, top1, top5 = ranks >= 1, count_errors(ranks, 1), count_errors(ranks, TOP)
        steps.append(
            GrowthStep(
                nets=nets,
                top1_error=top1 / images,
                top1_interval=wilson_interval(top1, images),
                top5_error=None if few else top5 / images,
                top5_interval=None if few else wilson_interval(top5, images),
                gain=None if before is None else (int(before.sum()) - top1) / images,
                gain_interval=None if before is None else paired_interval(before, wrong),
                choices_top1_error=_of_all_choices(members, nets, shares, of),
            )
        )
        before = wrong
    return steps


def _of_all_choices(
    members: Sequence[Predictions], nets: int, shares: npt.NDArray[np.float64], of: Of
) -> float | None:
    if len(members) > ALL_CHOICES:
        return None
    choices = [each for each in combinations(range(len(members)), nets) if shares[list(each)].any()]
    return float(np.mean([np.mean(_ranks(members, each, shares, of) >= 1) for each in choices]))


def _ranks(
    members: Sequence[Predictions], chosen: Sequence[int], shares: npt.NDArray[np.float64], of: Of
) -> npt.NDArray[np.int64]:
    """(N,) the rank of the true class in the mean of the chosen members, counted from 0."""
    labels, weights = members[0].labels, shares[list(chosen)]
    ranks: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(labels), _BLOCK):
        block = slice(start, start + _BLOCK)
        rows = [members[i].probabilities[block] for i in chosen]
        ranks.append(true_ranks(_mean(rows, weights, of) if len(rows) > 1 else rows[0], labels[block]))
    return np.concatenate(ranks)


def _mean(
    rows: Sequence[npt.NDArray[np.float32]], shares: npt.NDArray[np.float64], of: Of
) -> npt.NDArray[np.float32]:
    """(N, K), summed in float64 so that the members' order has no effect; rows sum to 1."""
    total = np.zeros(rows[0].shape)
    smallest = np.finfo(np.float32).tiny  # for probabilities that underflowed
    for row, share in zip(rows, shares, strict=True):
        terms = row if of == "probabilities" else np.log(np.maximum(row, smallest).astype(np.float64))
        total += share * terms
    total /= shares.sum()
    if of == "logits":
        np.exp(total - total.max(axis=1, keepdims=True), out=total)
        total /= total.sum(axis=1, keepdims=True)
    return total.astype(np.float32)


def _refuse_different(members: Sequence[Predictions]) -> None:
    first, *others = members
    for place, other in enumerate(others, start=2):
        for what in ("split", "views", "classes", "keys", "labels"):
            if not np.array_equal(getattr(first, what), getattr(other, what)):
                raise DataError(f"an ensemble needs the same {what} in all runs; those of run {place} differ")
