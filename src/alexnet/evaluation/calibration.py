"""Calibration: how often predictions of a given confidence are right, and the temperature that makes both
agree.

The confidence of a prediction is the probability of the most probable class. Source: Guo et al. 2017, "On
calibration of modern neural networks".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar

from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.evaluation import ensemble, metrics
from alexnet.evaluation.inference import BATCH_SIZE, InferenceOptions
from alexnet.evaluation.run_evaluation import (
    check_run_classes,
    class_predictions,
    default_views_of,
    opened_store,
    trained_config,
)
from alexnet.evaluation.views import parse_views, with_default
from alexnet.hardware import choose_device, describe_device
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.runs.calibration import Calibration, calibrated_updates, tempered, write_calibration
from alexnet.runs.fit_record import Fit
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, is_fit, members_of
from alexnet.tasks.config import task_info
from alexnet.text import counted

SPLIT = "val"
"""The photos on which training was validated; those of another split, such as `test`, remain for the errors
that are reported."""
BINS = 15
"""Bins of confidence of equal width, as in the paper."""
WANTED_ACCURACY = 0.95
"""Accuracy of the photos that `--min-score auto` keeps, unless another one is wanted."""
FEW_PHOTOS = 100
"""With fewer photos, a calibration comes with a warning."""
_FOLDS = 5
_TEMPERATURES = (0.1, 10.0)


class Reliability(NamedTuple):
    """Accuracy of predictions by their confidence; a row for each bin, NaN for an empty one."""

    confidence: npt.NDArray[np.float64]
    """(B,) mean confidence."""
    accuracy: npt.NDArray[np.float64]
    """(B,) fraction of right predictions."""
    images: npt.NDArray[np.int64]
    """(B,)."""

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, a fraction: the mean of |accuracy - confidence| over all images."""
        used = self.images > 0
        gaps = np.abs(self.accuracy[used] - self.confidence[used])
        return float((gaps * self.images[used]).sum() / self.images.sum())


class Kept(NamedTuple):
    """The predictions that a minimum score keeps."""

    min_score: float
    images: int
    errors: int


def reliability(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Reliability:
    """The reliability of (N, K) probabilities, in `BINS` bins over 0 to 1."""
    confidence, right = _confidence(probabilities, labels)
    # A confidence on the border of two bins belongs to the lower one, as in the paper.
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    sums = [np.bincount(bins, each, minlength=BINS) for each in (confidence, right)]
    with np.errstate(invalid="ignore"):
        return Reliability(sums[0] / images, sums[1] / images, images)


def fit_temperature(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """The temperature with the lowest negative log-likelihood, between 0.1 and 10.

    1 if all photos are right or all are wrong: they do not determine it.
    """
    right = metrics.true_ranks(probabilities, labels) == 0
    if right.all() or not right.any():
        return 1.0

    def loss(log_temperature: float) -> float:
        return metrics.mean_nll(tempered(probabilities, float(np.exp(log_temperature))), labels)

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


def cross_fitted(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """(N, K) calibrated probabilities; the temperature for each photo is fitted to other photos."""
    folds = np.arange(len(labels)) % min(_FOLDS, len(labels))
    made = probabilities.copy()
    for fold in np.unique(folds) if len(labels) > 1 else ():
        held_out = folds == fold
        temperature = fit_temperature(probabilities[~held_out], labels[~held_out])
        made[held_out] = tempered(probabilities[held_out], temperature)
    return made


def smallest_min_score(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], accuracy: float
) -> Kept | None:
    """The smallest score with which the predictions of that score or a higher one reach this accuracy.

    0 if all predictions together do; None if no score does.
    """
    confidence, right = _confidence(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    scores, errors = confidence[order], np.cumsum(~right[order])
    counts = np.arange(1, len(scores) + 1)
    last_of_score = np.append(scores[1:] != scores[:-1], True)  # equal scores are kept together
    reached = np.flatnonzero(last_of_score & (counts - errors >= accuracy * counts - 1e-9))
    if not len(reached):
        return None
    last = int(reached[-1])
    score = 0.0 if last == len(scores) - 1 else float(scores[last])
    return Kept(score, last + 1, int(errors[last]))


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """How a run is calibrated."""

    views: str | ViewSet = ""
    """The views to calibrate; empty for those that `predict` uses by default."""
    predicted_by: Sequence[Path] = ()
    """Runs whose mean is calibrated in place of that of the run itself: its models before they were also
    trained on these photos. A finished fit knows them."""
    accuracy: float = WANTED_ACCURACY
    """Wanted accuracy of the photos that the minimum score keeps, above 0 and at most 1."""
    device: torch.device | str = "auto"
    batch_size: int = BATCH_SIZE
    """Crops in one pass."""
    progress: ProgressBar = no_progress_bar
    log: Callable[[str], None] = lambda line: None


def calibrate(
    run: str | Path,
    store: str | Path | Store | None = None,
    options: CalibrateOptions = CalibrateOptions(),
) -> Calibration:
    """Fits the temperature to the photos on which the run was validated, and writes `RUN/calibration.json`.

    `alexnet.load`, `predict`, `serve` and `export` then use it. For an ensemble it is that of the mean, in
    the ensemble's directory; an ensemble of one model is that model. Predictions are read from each run's
    folder `predictions`, or made and saved there. Without a store, the one used in training. CommandError
    for a model that predicts no classes or was trained on these photos, or a file instead of a run; errors as
    `evaluate`.
    """
    folders = [RunDir.open(each) for each in members_of([Path(run)])]
    calibrated = folders[0] if len(folders) == 1 else RunDir(Path(run))
    held_out = [RunDir.open(each) for each in options.predicted_by or _held_out_models(Path(run))]
    folders = held_out or folders
    if not 0 < options.accuracy <= 1:
        raise CommandError(f"accuracy {options.accuracy:g} must be above 0 and at most 1, such as 0.95")
    for config in map(trained_config, folders):
        info = task_info(config.training.loss)
        if info.predicts_boxes or not info.classifies:
            raise CommandError(
                f"{config.recipe} is not a classifier: only class probabilities are calibrated"
            )
        if SPLIT in config.data.train_splits:
            raise CommandError(
                f"{run} was trained on {SPLIT}, too: probabilities are calibrated on photos that a model was "
                "not trained on"
            )
    opened = opened_store(store, [Path(run)])
    metrics.refuse_unlabeled(SPLIT, opened.split(SPLIT).labels)
    check_run_classes(folders, opened)
    views = with_default(parse_views(options.views), default_views_of([Path(run)]))
    device = choose_device(options.device)
    members: list[Predictions] = []
    for folder in folders:
        title = f"testing {folder.path.name} on {describe_device(device)}"
        with options.progress(title, len(opened.split(SPLIT))) as advance:
            inference = InferenceOptions("last", device, options.batch_size, advance)
            members.append(class_predictions(folder, opened, SPLIT, views, inference))
    made = members[0] if len(members) == 1 else ensemble.mean(members)
    metrics.refuse_broken(made.probabilities)
    others = set(opened.splits) - {"train", SPLIT}
    if not others:
        options.log(
            f"note: {opened.path.name} has no test split besides {SPLIT}, so the reported errors are of "
            "these photos, too; what is measured after the calibration is cross-validated"
        )
    found = replace(
        fit_calibration(made, options.accuracy),
        store=opened.path.resolve().name,
        updates=calibrated_updates(calibrated.path),
        predicted_by=tuple(os.path.relpath(each.path, calibrated.path) for each in held_out),
    )
    wrong = int((metrics.true_ranks(made.probabilities, made.labels) > 0).sum())
    if found.images < FEW_PHOTOS or not wrong:
        options.log(
            f"warning: only {counted(found.images, 'photo')} ({wrong:,} misclassified): the temperature is "
            "uncertain"
        )
    write_calibration(calibrated, found)
    return found


def _held_out_models(run: Path) -> list[Path]:
    """The chosen models of a fit before they were also trained on these photos; empty where none was."""
    fit = Fit.read(run) if is_fit(run) else None
    return [run / name for name in fit.chosen] if fit is not None and fit.refit else []


def fit_calibration(made: Predictions, accuracy: float = WANTED_ACCURACY) -> Calibration:
    """The calibration of predictions, without the name of their store and the run's updates."""
    before, labels = made.probabilities, made.labels
    temperature, after = fit_temperature(before, labels), cross_fitted(before, labels)
    kept = smallest_min_score(tempered(before, temperature), labels, accuracy)
    return Calibration(
        temperature=temperature,
        views=made.views,
        store="",
        store_digest=made.store_digest,
        split=made.split,
        images=len(labels),
        calibration_error_before=reliability(before, labels).calibration_error,
        calibration_error_after=reliability(after, labels).calibration_error,
        nll_before=metrics.mean_nll(before, labels),
        nll_after=metrics.mean_nll(after, labels),
        wanted_accuracy=accuracy,
        min_score=None if kept is None else kept.min_score,
        kept=0 if kept is None else kept.images,
        kept_errors=0 if kept is None else kept.errors,
    )


def _confidence(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(N,) the probability of the most probable class, and whether it is the true one."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return confidence, metrics.true_ranks(probabilities, labels) == 0
