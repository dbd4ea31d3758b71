"""Mean image and covariance with all images at once, in float64."""

from __future__ import annotations

import numpy as np


def mean_image(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float64).mean(0)


def channel_mean(images: np.ndarray) -> np.ndarray:
    return images.reshape(-1, 3).astype(np.float64).mean(0)


def covariance(images: np.ndarray) -> np.ndarray:
    return np.cov(images.reshape(-1, 3).astype(np.float64), rowvar=False, bias=True)
