"""Classification: class labels as targets, smoothed and mixed; class probabilities as predictions.

Targets are (N, K) probabilities; each row sums to 1. Mixing is a function of (seed, epoch, position of the
batch), like all randomness. A process mixes within its own share of a batch. The losses are linear in the
targets, so they are defined for smoothed and mixed targets, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from alexnet.data.classes import Class
from alexnet.data.crops import default_views
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store
from alexnet.evaluation.inference import class_probabilities, device_name
from alexnet.evaluation.metrics import TOP, evaluate_predictions
from alexnet.evaluation.views import ScaledView
from alexnet.models.bundle import ModelBundle
from alexnet.models.lenet import class_codes
from alexnet.runs.calibration import Calibration
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import EvalResult
from alexnet.tasks.base import ClassPrediction, Loss, Prediction, Task, TestedSplit
from alexnet.training.config import TrainingConfig

REJECTION_DISTANCE = 1.0
"""Equation 9's j: the distance of a "rubbish" class with which every image is compared. The paper only
requires it to be positive."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the softmax of logits (N, K) and targets (N, K), in nats: the sum over the batch."""
    return functional.cross_entropy(logits, targets, reduction="sum")


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared error of outputs (N, K), whose targets are 1 for an image's class and -1 for the others.

    It is the mean over the K output units, and the sum over the batch; `targets` (N, K) are probabilities.
    Source: LeCun et al. 1989, section 4.
    """
    return (outputs - (2.0 * targets - 1.0)).square().mean(dim=1).sum()


def rbf(logits: Tensor, targets: Tensor) -> Tensor:
    """y_D + log(exp(-j) + sum of exp(-y_i)), the sum over the batch; y_i = -logits (N, K) are distances.

    This is the cross-entropy with an additional "rubbish" class that is never the right one and always at
    distance j: classes farther away than that are hardly pushed away any more. `targets` (N, K) are
    probabilities. Source: LeCun et al. 1998, equation 9.
    """
    rubbish = logits.new_full((len(logits), 1), -REJECTION_DISTANCE)
    return cross_entropy(torch.cat([logits, rubbish], dim=1), functional.pad(targets, (0, 1)))


def _rbf_at_chance(classes: int) -> float:
    """The loss if F6 outputs the mean of all codes for each image, the best constant output."""
    codes = class_codes(classes)
    distances = (codes - codes.mean(dim=0)).square().sum(dim=1)
    return float(rbf(-distances.expand(classes, -1), torch.eye(classes)) / classes)


LOSSES = {
    "cross-entropy": Loss(cross_entropy, math.log),
    "squared-error": Loss(squared_error, lambda classes: 4.0 * (1.0 - 1.0 / classes) / classes),
    "rbf": Loss(rbf, _rbf_at_chance),
}
"""Losses by the value of `training.loss`."""


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """(N, K) float32: 1 - smoothing on the label, the rest spread over all K classes.

    Source: Szegedy et al. 2015, "Rethinking the Inception Architecture", section 7.
    """
    shares = functional.one_hot(labels, num_classes).float()
    return shares.mul_(1.0 - smoothing).add_(smoothing / num_classes)


def mixed(
    images: Tensor, targets: Tensor, config: TrainingConfig, epoch: int, position: int
) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and targets (N, K), mixed according to `config`.

    They are unchanged, or mixed by mixup, by CutMix, or by one of the two drawn for the batch. `epoch` and
    `position`, that of the batch's first image in the epoch, are counted from 0.
    """
    if not config.mixup and not config.cutmix:
        return images, targets
    randomness = ImageRandomness(config.seed, epoch, [position])
    partners = torch.from_numpy(randomness.uniform("mix-partners", len(images))[0].argsort())
    coin, share, row, column = randomness.uniform("mix", 4)[0].tolist()
    if config.mixup and (not config.cutmix or coin < 0.5):
        return mixup(images, targets, partners, _beta(config.mixup, share))
    return cutmix(images, targets, partners, _beta(config.cutmix, share), (row, column))


def mixup(images: Tensor, targets: Tensor, partners: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The fraction `share` of each image and its targets, plus the rest of its partner and its targets.

    Returns new images (N, C, H, W) and targets (N, K); `partners` (N,) are positions in the batch, `share` is
    in [0, 1]. Source: Zhang et al. 2017, arXiv:1710.09412 (mixup), section 2.
    """
    partners = partners.to(images.device)
    return images.lerp(images[partners], 1.0 - share), targets.lerp(targets[partners], 1.0 - share)


def cutmix(
    images: Tensor, targets: Tensor, partners: Tensor, share: float, center: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Each image with a rectangle of its partner's; targets in proportion to the pixels that are left.

    Returns new images (N, C, H, W) and targets (N, K); `partners` (N,) are positions in the batch. The
    rectangle has the image's aspect ratio, 1 - `share` of its area before it is clipped, and its center at
    `center` (row, column as fractions of the side); all are in [0, 1].
    Source: Yun et al. 2019, arXiv:1905.04899 (CutMix), section 3.1.
    """
    partners = partners.to(images.device)
    height, width = images.shape[-2:]
    top, bottom = _span(center[0], height, share)
    left, right = _span(center[1], width, share)
    pasted = images.clone()
    pasted[..., top:bottom, left:right] = images[partners][..., top:bottom, left:right]
    replaced = (bottom - top) * (right - left) / (height * width)
    return pasted, targets.lerp(targets[partners], replaced)


def _span(middle: float, length: int, share: float) -> tuple[int, int]:
    """The first pixel of a side of the rectangle, and the one after the last."""
    half = int(length * math.sqrt(1.0 - share)) // 2
    at = int(middle * length)
    return max(at - half, 0), min(at + half, length)


def _beta(parameter: float, uniform: float) -> float:
    """The quantile `uniform` of the distribution Beta(parameter, parameter)."""
    from scipy.special import betaincinv  # only mixup needs it

    return float(betaincinv(parameter, parameter, uniform))


@dataclass(frozen=True)
class Classification(Task[npt.NDArray[np.float32], Predictions, EvalResult]):
    """The class of each image. Rows are probabilities (K,) in the model's order of classes.

    Every model can be tested in this way, whatever else it was trained to predict.
    """

    top: int = TOP
    min_score: float = 0.0
    """No class is predicted for a photo whose most probable class is less probable."""
    calibration: Calibration | None = None

    @property
    def loss(self) -> Loss:
        """The loss of logits (N, K) and targets (N, K)."""
        return LOSSES[self.config.training.loss]

    def targets(
        self, inputs: Tensor, batch: Batch, randomness: ImageRandomness, preprocessing: Preprocessing
    ) -> tuple[Tensor, Tensor]:
        """Images and targets (N, K), smoothed and mixed as configured."""
        labels = batch.labels.to(inputs.device, non_blocking=True)
        targets = soft_targets(labels, self.num_classes, self.config.training.label_smoothing)
        return mixed(inputs, targets, self.config.training, randomness.epoch, int(batch.positions[0]))

    def num_errors(self, outputs: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Number of images whose largest logit is not that of their label; a mixed image counts with its own
        label.
        """
        return (outputs.argmax(1) != labels).sum()

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> Sequence[npt.NDArray[np.float32]]:
        """(N, K) probabilities, averaged over the views after the softmax."""
        return list(class_probabilities(bundle, scaled, images))

    def collect(self, rows: Sequence[npt.NDArray[np.float32]], tested: TestedSplit) -> Predictions:
        """Probabilities with the true labels, in the store's order of classes."""
        probabilities = np.stack(rows) if rows else np.empty((0, self.num_classes), np.float32)
        return Predictions(
            **tested.common(),
            probabilities=np.ascontiguousarray(probabilities[:, tested.columns]),
            labels=tested.split.labels.astype(np.int64),
            names=np.array([each.name for each in tested.store.classes]),
            scales=np.unique([each.scale for each in tested.scaled]),
            seconds=tested.seconds,
            multiply_adds=tested.multiply_adds,
            device=device_name(tested.bundle.model),
        )

    @property
    def saved_type(self) -> type[Predictions]:
        """All probabilities of a split."""
        return Predictions

    def metrics(self, saved: Predictions, store: Store) -> EvalResult:
        """Top-1 and top-5 errors, errors by class, confusions; raises as `evaluate_predictions`."""
        return evaluate_predictions(saved)

    def watch(self, saved: Predictions, store: Store) -> Mapping[str, Any]:
        """Top-1 and top-5 error and the mean negative log-likelihood."""
        found = self.metrics(saved, store)
        return {
            "images": found.images,
            "top1_error": found.top1.error,
            "top5_error": None if found.top5 is None else found.top5.error,
            "nll": found.nll,
        }

    def default_views(self, mirror: bool) -> str:
        """Crops, also for models that were trained to predict boxes."""
        return default_views(mirror)

    def for_photos(self, top: int | None, min_score: float | None) -> Classification:
        """This task for at most `top` classes, by default five, of photos whose score is at least
        `min_score`.
        """
        return replace(self, top=top or self.top, min_score=min_score or 0.0)

    def calibrated(self, calibration: Calibration | None) -> Classification:
        """This task with calibrated probabilities."""
        return replace(self, calibration=calibration)

    def predictions(
        self,
        row: npt.NDArray[np.float32],
        classes: Sequence[Class],
        scaled: Sequence[ScaledView],
        size: tuple[int, int],
    ) -> list[Prediction]:
        """The most probable classes, ties in label order; none if the first one's score is too low."""
        if self.calibration is not None:
            row = self.calibration.apply(row[None])[0]
        if row.max() < self.min_score:
            return []
        best = np.argsort(-row, kind="stable")[: self.top]
        return [ClassPrediction(classes[i].wnid, classes[i].name, float(row[i])) for i in best]
