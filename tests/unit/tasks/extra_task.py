"""A task that is added in one file: the brightness of an image, predicted by the first logit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.data.classes import Class
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store
from alexnet.evaluation.inference import testing
from alexnet.evaluation.views import ScaledView
from alexnet.models.bundle import ModelBundle
from alexnet.runs.predictions import SplitPredictions
from alexnet.runs.results import EvalResult, ViewSet
from alexnet.tasks.base import ClassPrediction, Loss, Prediction, Task, TestedSplit


@dataclass(frozen=True, eq=False, kw_only=True)
class BrightnessPredictions(SplitPredictions):
    """(N,) predicted and true brightness, 0 to 1."""

    predicted: np.ndarray
    true: np.ndarray


@dataclass(frozen=True)
class Brightness(Task[tuple[float, float], BrightnessPredictions, float]):
    """Targets are (N, 1): the mean gray level of the stored image, 0 to 1."""

    suffix = "-brightness"

    @property
    def loss(self) -> Loss:
        return Loss(
            lambda outputs, targets: (outputs[:, :1] - targets).square().sum(), lambda classes: math.inf
        )

    def targets(
        self, inputs: Tensor, batch: Batch, randomness: ImageRandomness, preprocessing: Preprocessing
    ) -> tuple[Tensor, Tensor]:
        return inputs, _brightness(batch.images)[:, None].to(inputs.device)

    def num_errors(self, outputs: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        return ((outputs[:, :1] - targets).abs() > 0.1).sum()

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> list[tuple[float, float]]:
        with testing(bundle.model) as device:
            inputs = bundle.preprocessing.test_input(images[0].to(device), np.array([[0, 0, 0]]))
            predicted = bundle.model(inputs)[:, 0]
        return list(zip(predicted.tolist(), _brightness(images[0]).tolist(), strict=True))

    def collect(self, rows: Sequence[tuple[float, float]], tested: TestedSplit) -> BrightnessPredictions:
        predicted, true = np.array(rows).T
        return BrightnessPredictions(**tested.common(), predicted=predicted, true=true)

    @property
    def saved_type(self) -> type[BrightnessPredictions]:
        return BrightnessPredictions

    def metrics(self, saved: BrightnessPredictions, store: Store) -> float:
        return float(np.abs(saved.predicted - saved.true).mean())

    def watch(self, saved: BrightnessPredictions, store: Store) -> Mapping[str, Any]:
        return {"images": len(saved.keys), "top1_error": self.metrics(saved, store)}

    def own_views(self, views: ViewSet) -> ViewSet:
        return ViewSet("center")

    def add_metrics(self, result: EvalResult, saved: BrightnessPredictions, store: Store) -> EvalResult:
        return replace(result, measures={"mean_brightness_error": self.metrics(saved, store)})

    def predictions(
        self,
        row: tuple[float, float],
        classes: Sequence[Class],
        scaled: Sequence[ScaledView],
        size: tuple[int, int],
    ) -> list[Prediction]:
        return [ClassPrediction("", "brightness", row[0])]


def _brightness(images: Tensor) -> Tensor:
    return images.to(torch.float32).mean(dim=(1, 2, 3)) / 255
