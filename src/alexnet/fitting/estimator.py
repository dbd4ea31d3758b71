"""`alexnet.AlexNetClassifier`: a trained network with a new last layer, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from alexnet.data.decode import luma
from alexnet.errors import CommandError
from alexnet.evaluation.inference import testing
from alexnet.fitting.image_classifier import ImageClassifier
from alexnet.hardware import choose_device
from alexnet.models import bundle
from alexnet.runs.run_dir import find_weights
from alexnet.training.last_layer import choose_strength

_BATCH = 128
"""Images in one pass."""
_ORDERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "RGB": lambda images: images,
    "BGR": lambda images: images.flip(1),
    "L": lambda images: luma(images.movedim(1, -1))[:, None],
}
"""RGB images (N, 3, H, W) in each of `Preprocessing.channels`: (N, C, H, W)."""


class AlexNetClassifier(ImageClassifier):
    """Logistic regression on the features of a trained AlexNet, for images in memory.

    `fit(X, y)` takes images (N, H, W, 3) in RGB, or (N, H, W) or (N, H, W, 1) gray, of any size and one range
    of values: uint8 is 0..255; other numbers are scaled so that the range of the training images becomes
    0..255. `y` are (N,) labels of any type. The penalty is chosen by cross-validation unless `C` is given.
    Probabilities are the mean over each image and its mirror image. Of scikit-learn's `check_estimator` it
    therefore fails `check_classifiers_train`, whose points in the plane become images of two pixels.

    For photos in files, for more time than seconds and better results, use `alexnet.fit`.
    """

    def __init__(
        self,
        model: str = "pretrained",
        C: float | None = None,  # noqa: N803 - scikit-learn's name
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        """`model` is a run or a .safetensors file of a network; `C` the inverse of the penalty, as in
        scikit-learn.

        `fit` raises CommandError or DataError, both a ValueError, for other models.
        """
        self.model = model
        self.C = C
        self.device = device
        self.random_state = random_state

    def _fit_images(self, images: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> None:
        views = self._features(images)
        standardized = (views - views.mean((0, 1))) / (views.std((0, 1)) + 1e-6)
        strength = choose_strength(standardized, codes, self.random_state)[0] if self.C is None else self.C
        self.pipeline_: Pipeline = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=500)
        )
        self.pipeline_.fit(np.concatenate(list(views)), np.tile(codes, len(views)))

    def _probabilities(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.mean([self.pipeline_.predict_proba(each) for each in self._features(images)], axis=0)

    def _features(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(2, N, D) features of the images and of their mirror images."""
        loaded = bundle.load(find_weights(Path(self.model)), choose_device(self.device), needs_weights=True)
        preprocessing = loaded.preprocessing
        if not hasattr(loaded.model, "forward_features"):
            raise CommandError(
                f"{self.model}, of the recipe {loaded.config.recipe}, is not a network: choose a run or file "
                "of one"
            )
        found: list[torch.Tensor] = []
        with testing(loaded.model) as device:
            mean = preprocessing.central_mean().to(device)
            divisor = preprocessing.divisor.to(device)[:, None, None]
            for start in range(0, len(images), _BATCH):
                pixels = self._pixels(images[start : start + _BATCH]).to(device)
                size = (preprocessing.crop, preprocessing.crop)
                resized = torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)
                inputs = (_ORDERS[preprocessing.channels](resized) - mean) / divisor
                pair = torch.stack([inputs, inputs.flip(3)])
                found.append(
                    torch.stack([loaded.model.forward_features(each) for each in pair])  # pyright: ignore[reportCallIssue]
                )
        return torch.cat(found, 1).float().cpu().numpy()
