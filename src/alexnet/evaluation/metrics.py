"""Errors of probabilities: exact integer counts, 95 % intervals, errors by class, confusions, mistakes.

Ties count against the model: an image is right among the top k only if fewer than k other classes are at
least as probable as the true one. So a model at chance level (all classes equal) is always wrong, whatever
the class order. The 2012 source gave fractional credit instead; the two differ only if probabilities are
exactly equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL
from alexnet.errors import CommandError, WorkError
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import NORMAL_97_5, ClassErrors, Confusion, EvalResult, Mistake

TOP = 5
"""The k of the top-k error."""
FEWEST_CLASSES = 10
"""With fewer classes there is no top-5 error (null): five guesses are then more than half of the classes."""
SHOWN_CONFUSIONS = 20
"""How many of the most frequent confusions an evaluation keeps."""
SHOWN_MISTAKES = 20
"""How many of the most confident mistakes an evaluation keeps."""


def evaluate_predictions(predictions: Predictions) -> EvalResult:
    """Counts the errors; the fields for the runs and the store's name are left empty.

    WorkError if there is nothing to count or a probability is not finite; CommandError if the images
    have no labels.
    """
    probabilities, labels = predictions.probabilities, predictions.labels
    if not len(labels):
        raise WorkError(f"split {predictions.split!r} has no images to score")
    refuse_unlabeled(predictions.split, labels)
    refuse_broken(probabilities)
    ranks = true_ranks(probabilities, labels)
    predicted = predicted_labels(probabilities, labels)
    has_top5 = probabilities.shape[1] >= FEWEST_CLASSES
    return EvalResult(
        split=predictions.split,
        views=predictions.views,
        scales=tuple(predictions.scales.tolist()),
        seconds=predictions.seconds,
        multiply_adds=predictions.multiply_adds,
        device=predictions.device,
        images=len(labels),
        top1_errors=count_errors(ranks, 1),
        top5_errors=count_errors(ranks, TOP) if has_top5 else None,
        nll=mean_nll(probabilities, labels),
        per_class=_per_class(predictions, predicted),
        confusions=_confusions(predictions, predicted),
        mistakes=_mistakes(predictions, predicted),
        store="",
        store_digest=predictions.store_digest,
        runs=(),
    )


def refuse_unlabeled(split: str, labels: npt.NDArray[Any]) -> None:
    """CommandError if some image's class is unknown: there is nothing to compare a prediction with."""
    unlabeled = int((labels == NO_LABEL).sum())
    if unlabeled:
        raise CommandError(
            f"{unlabeled:,} of {len(labels):,} images of split {split!r} have no label, so no errors can be "
            "counted: `alexnet submit` writes the predictions for them"
        )


def refuse_broken(probabilities: npt.NDArray[Any]) -> None:
    """WorkError if a probability is NaN or Inf."""
    if not np.isfinite(probabilities).all():
        raise WorkError("some probabilities are not finite: the weights are broken; try --checkpoint best")


def true_ranks(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(N,) how many other classes are at least as probable as the true one; 0 is right."""
    of_true = np.take_along_axis(probabilities, labels[:, None], axis=1)
    return (probabilities >= of_true).sum(axis=1, dtype=np.int64) - 1


def predicted_labels(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(N,) the class that each image counts as: its own if it is right, else the most probable other one."""
    predicted = labels.astype(np.int64)
    wrong = true_ranks(probabilities, labels) > 0
    others = probabilities[wrong]
    np.put_along_axis(others, labels[wrong][:, None], -1.0, axis=1)
    predicted[wrong] = others.argmax(axis=1)
    return predicted


def confusion_matrix(predictions: Predictions) -> npt.NDArray[np.int64]:
    """(K, K) numbers of images; a row for each true class, a column for each predicted one."""
    count, labels = len(predictions.classes), predictions.labels
    cells = labels * count + predicted_labels(predictions.probabilities, labels)
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def most_confident_mistakes(
    predictions: Predictions, most: int, predicted: npt.NDArray[np.int64] | None = None
) -> list[int]:
    """Positions of at most `most` images that were wrong, the highest probability of a wrong class first.

    `predicted` are their `predicted_labels`, if these are known.
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    found = predicted_labels(probabilities, labels) if predicted is None else predicted
    wrong = np.flatnonzero(found != labels)
    order = np.argsort(-probabilities[wrong, found[wrong]], kind="stable")
    return wrong[order[:most]].tolist()


def count_errors(ranks: npt.NDArray[np.int64], k: int) -> int:
    """Images whose true class is not among the k most probable."""
    return int((ranks >= k).sum())


def paired_interval(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """95 % interval of error rate before less error rate after, of the same images: (N,) True if wrong.

    Only images on which the two differ count. Source: Agresti and Min 2005, "Simple improved confidence
    intervals for comparing matched proportions": Wald's interval after half an image is added to each cell.
    """
    images = len(before) + 2
    fixed, broken = (float(np.sum(each)) + 0.5 for each in (before & ~after, after & ~before))
    difference = (fixed - broken) / images
    half = NORMAL_97_5 * math.sqrt((fixed + broken) / images - difference**2) / math.sqrt(images)
    return max(difference - half, -1.0), min(difference + half, 1.0)


def mean_nll(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Mean of -ln(probability of the true class); 0 counts as the smallest normal float32."""
    of_true = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0].astype(np.float64)
    floor = float(np.finfo(np.float32).tiny)
    # fsum is exact, so the result does not depend on the order of the images.
    return math.fsum(-np.log(np.maximum(of_true, floor))) / len(labels)


def _per_class(predictions: Predictions, predicted: npt.NDArray[np.int64]) -> tuple[ClassErrors, ...]:
    count, labels = len(predictions.classes), predictions.labels
    columns = (
        np.bincount(labels, minlength=count),
        np.bincount(labels[predicted != labels], minlength=count),
        np.bincount(predicted, minlength=count),
    )
    rows = zip(predictions.classes.tolist(), predictions.names.tolist(), *columns, strict=True)
    return tuple(ClassErrors(wnid, name, *map(int, counts)) for wnid, name, *counts in rows)


def _confusions(predictions: Predictions, predicted: npt.NDArray[np.int64]) -> tuple[Confusion, ...]:
    """The most frequent pairs of true and predicted class, over the images that were wrong."""
    wrong = predicted != predictions.labels
    pairs, counts = np.unique(
        np.stack([predictions.labels[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    # Sorted by count; equal counts remain in label order.
    first = np.argsort(-counts, kind="stable")[:SHOWN_CONFUSIONS]
    wnids = predictions.classes
    return tuple(Confusion(str(wnids[pairs[i, 0]]), str(wnids[pairs[i, 1]]), int(counts[i])) for i in first)


def _mistakes(predictions: Predictions, predicted: npt.NDArray[np.int64]) -> tuple[Mistake, ...]:
    labels, wnids = predictions.labels, predictions.classes
    return tuple(
        Mistake(
            key=str(predictions.keys[i]),
            true=str(wnids[labels[i]]),
            predicted=str(wnids[predicted[i]]),
            probability=float(predictions.probabilities[i, predicted[i]]),
            true_probability=float(predictions.probabilities[i, labels[i]]),
        )
        for i in most_confident_mistakes(predictions, SHOWN_MISTAKES, predicted)
    )
