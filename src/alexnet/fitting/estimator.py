"""`alexnet.AlexNetClassifier`: a trained network with a new last layer, as a scikit-learn estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from alexnet.evaluation.inference import testing
from alexnet.hardware import choose_device
from alexnet.models import bundle
from alexnet.runs.run_dir import find_weights
from alexnet.training.last_layer import choose_strength

_BATCH = 128
"""Images in one pass."""
_IMAGE_DIMENSIONS = (3, 4)


class AlexNetClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression on the features of a trained AlexNet, for images in memory.

    `fit(X, y)` takes images (N, H, W, 3) in RGB, or (N, H, W) or (N, H, W, 1) gray, of any size and one range
    of values: uint8 is 0..255; other numbers are scaled so that the range of the training images becomes
    0..255. Rows (N, D) are gray images with D pixels, if D is a square, padded with zeros if it is not. `y`
    are (N,) labels of any type. The penalty is chosen by cross-validation unless `C` is given.

    For photos in files, for more time than seconds and better results, use `alexnet.fit`.
    """

    def __init__(
        self,
        model: str = "pretrained",
        C: float | None = None,  # noqa: N803 - scikit-learn's name
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        """`model` is a run or a file of a network; `C` the inverse of the penalty, as in scikit-learn."""
        self.model = model
        self.C = C
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> AlexNetClassifier:  # noqa: N803
        """Fits the last layer and returns the classifier; ValueError for arrays of other forms."""
        images = self._checked(X, fitting=True)
        labels = np.asarray(column_or_1d(y, warn=True))
        assert_all_finite(labels, input_name="y")
        check_consistent_length(images, labels)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has only one class, {self.classes_[0]}; two or more are needed")
        self.range_ = (float(np.min(images)), float(np.max(images)))
        views = self._features(images)
        standardized = (views - views.mean((0, 1))) / (views.std((0, 1)) + 1e-6)
        strength = self.C or choose_strength(standardized, codes, self.random_state)[0]
        self.pipeline_: Pipeline = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=500)
        )
        self.pipeline_.fit(np.concatenate(list(views)), np.tile(codes, len(views)))
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """(N, K) probabilities, the mean over each image and its mirror image; columns are `classes_`."""
        check_is_fitted(self)
        views = self._features(self._checked(X, fitting=False))
        return np.mean([self.pipeline_.predict_proba(each) for each in views], axis=0)

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """(N,) the most probable classes, of the type of `y`."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _checked(self, images: Any, fitting: bool) -> npt.NDArray[Any]:
        """(N, H, W) or (N, H, W, C) finite numbers."""
        if len(images) and isinstance(images[0], str | Path):
            raise ValueError(
                "X has paths, but AlexNetClassifier takes pixels: for photos in files use alexnet.fit"
            )
        array = check_array(images, allow_nd=True, dtype="numeric")
        if array.ndim == 4 and array.shape[3] not in (1, 3):
            raise ValueError(f"images must be (N, H, W, 3), (N, H, W, 1) or (N, H, W), got {array.shape}")
        if array.ndim not in (2, *_IMAGE_DIMENSIONS):
            raise ValueError(f"images must have 3 or 4 dimensions, or be rows of pixels, got {array.shape}")
        if fitting:
            self.n_features_in_ = int(np.prod(array.shape[1:]))
        elif array.ndim == 2 and array.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {array.shape[1]} features, but AlexNetClassifier is expecting {self.n_features_in_} "
                "features as input"
            )
        return array

    def _features(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(2, N, D) features of the images and of their mirror images."""
        loaded = bundle.load(find_weights(Path(self.model)), choose_device(self.device))
        preprocessing = loaded.preprocessing
        found: list[torch.Tensor] = []
        with testing(loaded.model) as device:
            mean, divisor = preprocessing.mean.to(device), preprocessing.divisor.to(device)
            for start in range(0, len(images), _BATCH):
                pixels = self._pixels(images[start : start + _BATCH]).to(device)
                size = (preprocessing.crop, preprocessing.crop)
                resized = torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)
                inputs = (resized - mean[:, None, None]) / divisor[:, None, None]
                pair = torch.stack([inputs, inputs.flip(3)])
                found.append(
                    torch.stack([loaded.model.forward_features(each) for each in pair])  # pyright: ignore[reportCallIssue]
                )
        return torch.cat(found, 1).float().cpu().numpy()

    def _pixels(self, images: npt.NDArray[Any]) -> torch.Tensor:
        """(n, 3, H, W) float32 in 0..255."""
        low, high = (0.0, 255.0) if images.dtype == np.uint8 else self.range_
        scaled = (images.astype(np.float32) - low) * (255 / max(high - low, 1e-9))
        if scaled.ndim == 2:
            side = int(np.ceil(np.sqrt(scaled.shape[1])))
            padded = np.zeros((len(scaled), side * side), np.float32)
            padded[:, : scaled.shape[1]] = scaled
            scaled = padded.reshape(-1, side, side)
        if scaled.ndim == 3:
            scaled = scaled[..., None]
        return torch.from_numpy(scaled).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
