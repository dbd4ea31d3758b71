"""Mean image, channel mean and color covariance of many images, in one pass and exactly.

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
    """Sums over uint8 images (side, side, C), of three channels or one."""

    count: int
    image: npt.NDArray[np.uint32]
    """(side, side, C) sum at every pixel; has room for 16 million images."""
    products: npt.NDArray[np.int64]
    """(C, C) sum over all pixels of the products of channels."""

    @classmethod
    def empty(cls, side: int, channels: int = 3) -> ColorStatistics:
        """Statistics of no image yet."""
        return cls(0, np.zeros((side, side, channels), np.uint32), np.zeros((channels, channels), np.int64))

    def add(self, image: npt.NDArray[np.uint8]) -> None:
        """Counts one image (side, side, C) in."""
        self.count += 1
        self.image += image
        self.products += channel_products(image)

    def merge(self, other: ColorStatistics) -> None:
        """Counts in all that `other` has counted."""
        self.count += other.count
        self.image += other.image
        self.products += other.products

    @property
    def mean_image(self) -> npt.NDArray[np.float32]:
        """(side, side, C), in 0..255."""
        return (self.image / max(self.count, 1)).astype(np.float32)

    @property
    def channel_mean(self) -> Floats:
        """(C,) mean of each channel, in 0..255."""
        return self.image.sum((0, 1), dtype=np.int64) / self._pixels

    @property
    def covariance(self) -> Floats:
        """(C, C) covariance over all pixels of all images, in gray levels squared."""
        mean = self.channel_mean
        return self.products / self._pixels - np.outer(mean, mean)

    def axes(self) -> tuple[Floats, Floats]:
        """Eigenvalues (C,) of the covariance, largest first, and unit vectors (C, C), a row for each.

        Their signs are free; each is given the one that makes its sum positive.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        vectors = vectors.T[::-1]
        return values[::-1], vectors * np.where(vectors.sum(1, keepdims=True) < 0, -1, 1)

    def to_bytes(self) -> bytes:
        """The sums, to be read by `load`."""
        written = io.BytesIO()
        np.savez(written, count=self.count, image=self.image, products=self.products)
        return written.getvalue()

    @classmethod
    def load(cls, path: Path) -> ColorStatistics:
        """What `to_bytes` gave, from a file."""
        with np.load(path) as saved:
            return cls(int(saved["count"]), saved["image"], saved["products"])

    @property
    def _pixels(self) -> int:
        return max(self.count, 1) * self.image.shape[0] * self.image.shape[1]


_ROWS, _PIXELS = 256, 8


def channel_products(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(C, C) sum over the pixels of an image (height, width, C) of the products of channels, exactly.

    In float32, which is exact here since 256 products of 255 x 255 stay below 2^24, and with eight pixels to
    a row, a shape that keeps the processor busy: of each (8 C, 8 C) product the diagonal's blocks are wanted.
    """
    channels = image.shape[2]
    chunk = _ROWS * _PIXELS * channels
    values = np.zeros(-(-image.size // chunk) * chunk, np.float32)
    values[: image.size] = image.reshape(-1)
    rows = values.reshape(-1, _ROWS, _PIXELS * channels)
    products = np.matmul(rows.transpose(0, 2, 1), rows).sum(0, dtype=np.float64)
    return np.einsum("pipj->ij", products.reshape(_PIXELS, channels, _PIXELS, channels)).astype(np.int64)
