"""The scikit-learn contract of classifiers of images in memory, for those in this package to share."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

_IMAGE_DIMENSIONS = (3, 4)
_LEVELS = 100
"""A wider range of values is not of fractions, whatever the image."""


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of images in memory: `fit(X, y)`, `predict_proba(X)`, `predict(X)`.

    `X` are images (N, H, W, 3) in RGB, or (N, H, W) or (N, H, W, 1) gray, of any size and one range of
    values: uint8 is 0..255; other numbers are scaled so that the range of the training images becomes 0..255.
    Rows (N, D) are gray images with D pixels, if D is a square, padded with zeros if it is not. `y` are (N,)
    labels of any type.
    """

    @abstractmethod
    def _fit_images(self, images: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> None:
        """Learns from checked images with labels (N,) 0 ... K - 1."""

    @abstractmethod
    def _probabilities(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """(N, K) of checked images."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's names
        """Learns from images and labels and returns the classifier; ValueError for arrays of other forms."""
        images = self._checked(X, fitting=True)
        labels = np.asarray(column_or_1d(y, warn=True))
        assert_all_finite(labels, input_name="y")
        check_consistent_length(images, labels)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has only one class, {self.classes_[0]}; two or more are needed")
        is_bytes = images.dtype == np.uint8
        self.range_ = (0.0, 255.0) if is_bytes else (float(np.min(images)), float(np.max(images)))
        self._fit_images(images, codes)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """(N, K) probabilities; rows sum to 1, columns are `classes_`.

        ValueError for arrays of other forms, and for fractions 0..1 after a fit to 0..255, or the other way.
        """
        check_is_fitted(self)
        images = self._checked(X, fitting=False)
        self._refuse_other_range(images)
        return self._probabilities(images)

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """(N,) the most probable classes, of the type of `y`."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _checked(self, images: Any, fitting: bool) -> npt.NDArray[Any]:
        """(N, H, W) or (N, H, W, C) finite numbers."""
        if hasattr(images, "__len__") and len(images) and isinstance(images[0], str | Path):
            raise ValueError(
                f"X has paths, but {type(self).__name__} takes pixels: for photos in files use alexnet.fit"
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
                f"X has {array.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        return array

    def _refuse_other_range(self, images: npt.NDArray[Any]) -> None:
        if images.dtype == np.uint8:  # it is always 0..255
            return
        low, high = self.range_
        least, most = float(np.min(images)), float(np.max(images))
        fractions = 0 <= least < most <= 1 and high - low > _LEVELS
        levels = 0 <= low < high <= 1 and most - least > _LEVELS
        if fractions or levels:
            raise ValueError(
                f"X has values in {least:g}..{most:g}, but the images of the fit had {low:g}..{high:g}: use "
                "the same range for both"
            )

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
