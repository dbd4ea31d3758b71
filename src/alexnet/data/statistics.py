"""Mean image, channel mean and color covariance of many images, exact and in one pass.

All sums are integers, so the result does not depend on the order or on how the work was split.
Source: paper, sections 2 (mean) and 4.1 (covariance of RGB pixel values over the training set).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]

_ROWS, _PIXELS = 256, 8
"""Shape of the matrices that `channel_products` multiplies."""


@dataclass
class PixelStatistics:
    """Sums over uint8 images (side, side, C) with three channels or one."""

    count: int
    image: npt.NDArray[np.uint32]
    """(side, side, C) sum at every pixel; overflows after 16 million images."""
    products: npt.NDArray[np.int64]
    """(C, C) sum over all pixels of the products of channels."""

    @classmethod
    def empty(cls, side: int, channels: int = 3) -> PixelStatistics:
        """Statistics of no images."""
        return cls(0, np.zeros((side, side, channels), np.uint32), np.zeros((channels, channels), np.int64))

    def add(self, image: npt.NDArray[np.uint8]) -> None:
        """Adds one image (side, side, C)."""
        self.count += 1
        self.image += image
        self.products += channel_products(image)

    def merge(self, other: PixelStatistics) -> None:
        """Adds all images of `other`."""
        self.count += other.count
        self.image += other.image
        self.products += other.products

    @property
    def mean_image(self) -> npt.NDArray[np.float32]:
        """(side, side, C), in 0..255."""
        return (self.image / max(self.count, 1)).astype(np.float32)

    @property
    def channel_mean(self) -> _Floats:
        """(C,) mean of each channel, in 0..255."""
        return self.image.sum((0, 1), dtype=np.int64) / self._pixels

    @property
    def covariance(self) -> _Floats:
        """(C, C) covariance over all pixels of all images, in gray levels squared."""
        mean = self.channel_mean
        return self.products / self._pixels - np.outer(mean, mean)

    def axes(self) -> tuple[_Floats, _Floats]:
        """Eigenvalues (C,) of the covariance, largest first, and unit eigenvectors (C, C), one per row.

        The sign of each is chosen so that its sum is positive.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        vectors = vectors.T[::-1]
        return values[::-1], vectors * np.where(vectors.sum(1, keepdims=True) < 0, -1, 1)

    def to_bytes(self) -> bytes:
        """The sums as a file for `load`."""
        file = io.BytesIO()
        np.savez_compressed(file, count=self.count, image=self.image, products=self.products)
        return file.getvalue()

    @classmethod
    def load(cls, path: Path) -> PixelStatistics:
        """The statistics in a file of the contents of `to_bytes`."""
        with np.load(path) as saved:
            return cls(int(saved["count"]), saved["image"], saved["products"])

    @property
    def _pixels(self) -> int:
        return max(self.count, 1) * self.image.shape[0] * self.image.shape[1]


def channel_products(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(C, C) sum over the pixels of an image (height, width, C) of the products of channels, exactly.

    float32 is exact here, since the sum of 256 products of 255 x 255 is below 2^24. Each row of the matrices
    has eight pixels, which uses the processor well; only the diagonal blocks of each (8 C, 8 C) product are
    needed.
    """
    channels = image.shape[2]
    chunk = _ROWS * _PIXELS * channels
    values = np.zeros(-(-image.size // chunk) * chunk, np.float32)
    values[: image.size] = image.reshape(-1)
    rows = values.reshape(-1, _ROWS, _PIXELS * channels)
    products = np.matmul(rows.transpose(0, 2, 1), rows).sum(0, dtype=np.float64)
    return np.einsum("pipj->ij", products.reshape(_PIXELS, channels, _PIXELS, channels)).astype(np.int64)
