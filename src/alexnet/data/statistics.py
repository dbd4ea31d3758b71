"""Mean image, channel mean and colour covariance of many images, in one pass and exactly.

All sums are whole numbers, so the result does not hang on the order or on how the work was split.
Source: paper, sections 2 (mean) and 4.1 (covariance of RGB pixel values over the training set).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass
class ColorStatistics:
    """Sums over uint8 images (side, side, 3)."""

    count: int
    image: npt.NDArray[np.uint64]
    """(side, side, 3) sum at every pixel."""
    products: npt.NDArray[np.int64]
    """(3, 3) sum over all pixels of the products of channels."""

    @classmethod
    def empty(cls, side: int) -> ColorStatistics:
        """Statistics of no image yet."""
        return cls(0, np.zeros((side, side, 3), np.uint64), np.zeros((3, 3), np.int64))

    def add(self, image: npt.NDArray[np.uint8]) -> None:
        """Counts one image (side, side, 3) in."""
        pixels = image.reshape(-1, 3).astype(np.float64)
        self.count += 1
        self.image += image
        # Exact: products of a whole image stay below 2^53 up to 138 million pixels.
        self.products += (pixels.T @ pixels).astype(np.int64)

    def merge(self, other: ColorStatistics) -> None:
        """Counts in all that `other` has counted."""
        self.count += other.count
        self.image += other.image
        self.products += other.products

    @property
    def mean_image(self) -> npt.NDArray[np.float32]:
        """(side, side, 3), in 0..255."""
        return (self.image / max(self.count, 1)).astype(np.float32)

    @property
    def channel_mean(self) -> Floats:
        """(3,) mean of each channel, in 0..255."""
        return self.image.sum((0, 1)) / self._pixels

    @property
    def covariance(self) -> Floats:
        """(3, 3) covariance over all pixels of all images, in grey levels squared."""
        mean = self.channel_mean
        return self.products / self._pixels - np.outer(mean, mean)

    def axes(self) -> tuple[Floats, Floats]:
        """Eigenvalues (3,) of the covariance, largest first, and unit vectors (3, 3), a row for each.

        Their signs are free; each is given the one that makes its sum positive.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        vectors = vectors.T[::-1]
        return values[::-1], vectors * np.where(vectors.sum(1, keepdims=True) < 0, -1, 1)

    def to_bytes(self) -> bytes:
        """The sums, to be read by `load`."""
        written = io.BytesIO()
        np.savez_compressed(written, count=self.count, image=self.image, products=self.products)
        return written.getvalue()

    @classmethod
    def load(cls, path: Path) -> ColorStatistics:
        """What `to_bytes` gave, from a file."""
        with np.load(path) as saved:
            return cls(int(saved["count"]), saved["image"], saved["products"])

    @property
    def _pixels(self) -> int:
        return max(self.count, 1) * self.image.shape[0] * self.image.shape[1]
