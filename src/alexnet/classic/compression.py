"""Smaller vectors: PCA of descriptors, product quantization, and the file of all photos' feature vectors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from alexnet.classic.arrays import as_matrix, in_kind, random_rows
from alexnet.io import CannotWrite

SMALLEST = 1e-7
"""Fraction of the largest variance below which a direction is rounding error; whitening sets it to 0."""


class Pca(TransformerMixin, BaseEstimator):
    """Principal component analysis as `sklearn.decomposition.PCA`, on the device of the rows.

    With `whiten` each component has variance 1. Learned: `mean_` (D,), `components_` (n, D; rows of length
    one, the largest number of each positive), `explained_variance_` (n,), all float64 tensors.
    """

    def __init__(self, n_components: int = 64, *, whiten: bool = False):
        self.n_components = n_components
        self.whiten = whiten

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Fits rows (N, D); ValueError if there is no row, or D is less than the number of components."""
        rows = as_matrix(X).double()
        if len(rows) == 0:
            raise ValueError("there are no rows")
        if self.n_components > rows.shape[1]:
            raise ValueError(
                f"{self.n_components} components are too many for descriptors with {rows.shape[1]} numbers"
            )
        self.mean_ = rows.mean(0)
        scatter = (rows - self.mean_).T @ (rows - self.mean_)
        variances, vectors = torch.linalg.eigh(scatter / max(1, len(rows) - 1))
        self.explained_variance_ = variances.flip(0)[: self.n_components].clamp_min(0)
        components = vectors.T.flip(0)[: self.n_components]
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        self.components_ = components * largest.sign()
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """(N, n_components) of (N, D)."""
        rows = as_matrix(X)
        weights, mean = self.projection()
        return in_kind((rows - mean.to(rows)) @ weights.to(rows).T, X)

    def projection(self) -> tuple[Tensor, Tensor]:
        """(n, D) rows and (D,) mean: `transform` is (x - mean) @ rows.T."""
        if not self.whiten:
            return self.components_, self.mean_
        smallest = SMALLEST * self.explained_variance_[0]
        scale = torch.where(self.explained_variance_ > smallest, self.explained_variance_, torch.inf).rsqrt()
        return self.components_ * scale[:, None], self.mean_


GROUPS_AT_ONCE = 256
"""Sub-vectors whose distances are in memory at once."""


class ProductQuantizer(TransformerMixin, BaseEstimator):
    """Replaces each `group` of numbers by the index of its nearest center, which has `bits` bits.

    Learned: `centers_` (F / group, 2 ** bits, group), by k-means in each group separately. Where there are
    fewer rows than centers every row is a center. The last group is padded with zeros.
    Source: Jegou, Douze, Schmid 2011; Sanchez and Perronnin, CVPR 2011.
    """

    def __init__(self, group: int = 8, *, bits: int = 8, max_iter: int = 10, random_state: int = 0):
        self.group = group
        self.bits = bits
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Fits rows (N, F); ValueError if `bits` is not 1 to 8, or there are no rows."""
        rows = as_matrix(X)
        if not 1 <= self.bits <= 8 or len(rows) == 0:
            raise ValueError(f"bits={self.bits} must be 1..8, and {len(rows)} rows at least one")
        self.n_features_in_ = rows.shape[1]
        drawn = random_rows(rows, 2**self.bits, self.random_state)
        parts = self._parts(rows)
        chunks = zip(parts.split(GROUPS_AT_ONCE), parts[:, drawn].split(GROUPS_AT_ONCE), strict=True)
        self.centers_ = torch.cat([_k_means(part, first.clone(), self.max_iter) for part, first in chunks])
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """(N, F / group) uint8 codes of (N, F)."""
        pairs = zip(
            self._parts(as_matrix(X)).split(GROUPS_AT_ONCE), self.centers_.split(GROUPS_AT_ONCE), strict=True
        )
        return in_kind(torch.cat([_nearest(part, centers) for part, centers in pairs]).T.to(torch.uint8), X)

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """(N, F) of codes (N, F / group): their centers."""
        codes = torch.as_tensor(X, device=self.centers_.device)
        places = codes.long() + self.centers_.shape[1] * torch.arange(codes.shape[1], device=codes.device)
        rows = self.centers_.flatten(0, 1)[places].flatten(1)
        return in_kind(rows[:, : self.n_features_in_], X)

    def _parts(self, rows: Tensor) -> Tensor:
        """(F / group, N, group)."""
        filled = torch.nn.functional.pad(rows, (0, -rows.shape[1] % self.group))
        return filled.view(len(rows), -1, self.group).transpose(0, 1)


def _nearest(parts: Tensor, centers: Tensor) -> Tensor:
    """(G, N) numbers of the nearest of `centers` (G, C, g) for `parts` (G, N, g)."""
    half_squares = centers.square().sum(2)[:, None] / 2
    return torch.baddbmm(half_squares, parts, centers.transpose(1, 2), alpha=-1).argmin(2)


def _k_means(parts: Tensor, centers: Tensor, rounds: int) -> Tensor:
    """Lloyd's rounds in all groups at once; the center of an empty cluster is unchanged."""
    for _ in range(rounds):
        numbers = _nearest(parts, centers)[:, :, None]
        sums = torch.zeros_like(centers).scatter_add_(1, numbers.expand_as(parts), parts)
        counts = torch.zeros_like(centers[:, :, :1]).scatter_add_(
            1, numbers, torch.ones_like(parts[:, :, :1])
        )
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
    return centers


class Codec(Protocol):
    """How vectors are stored in the file."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Type of the numbers in the file."""
        ...

    def width(self, size: int) -> int:
        """Numbers in the file for a vector of `size` numbers."""
        ...

    def encode(self, vectors: Tensor) -> Tensor:
        """(N, F) float32 -> (N, width)."""
        ...

    def decode(self, stored: Tensor) -> Tensor:
        """(N, width) -> (N, F) float32."""
        ...


class Float16Codec:
    """float16: two bytes per number, three digits."""

    dtype: npt.DTypeLike = np.float16

    def width(self, size: int) -> int:
        """The same as `size`."""
        return size

    def encode(self, vectors: Tensor) -> Tensor:
        """The vectors, rounded to float16."""
        return vectors.half()

    def decode(self, stored: Tensor) -> Tensor:
        """The vectors as float32."""
        return stored.float()


class PqCodec:
    """The codes of a fitted product quantizer."""

    dtype: npt.DTypeLike = np.uint8

    def __init__(self, quantizer: ProductQuantizer):
        self.quantizer = quantizer

    def width(self, size: int) -> int:
        """One byte per group."""
        return -(-size // self.quantizer.group)

    def encode(self, vectors: Tensor) -> Tensor:
        """Indices of the nearest centers."""
        return self.quantizer.transform(vectors)

    def decode(self, stored: Tensor) -> Tensor:
        """The centers."""
        return self.quantizer.inverse_transform(stored)


class FeatureFile:
    """`count` vectors of `size` numbers in the numpy file `path` (.npy).

    The file is mapped for each access only, so that its pages do not count as memory of the process.
    """

    def __init__(self, path: Path, count: int, size: int, codec: Codec, device: torch.device | str = "cpu"):
        self.path, self.count, self.size, self.codec = path, count, size, codec
        self.device = torch.device(device)

    def create(self) -> None:
        """Creates the file; CannotWrite if the disk is full or not writable."""
        shape = self.count, self.codec.width(self.size)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            np.lib.format.open_memmap(self.path, "w+", self.codec.dtype, shape)
        except OSError as error:
            raise self._cannot_write(error) from error

    def write(self, first: int, vectors: Tensor) -> None:
        """Writes vectors (n, F) to the rows from `first` on; syncs. CannotWrite if the disk is full."""
        stored = self.codec.encode(vectors).cpu().numpy()
        try:
            with self.path.open("r+b") as file:  # writing to a mapping on a full disk would kill the process
                file.seek(self._header_bytes() + first * stored[:1].nbytes)
                file.write(stored.tobytes())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error

    def read(self, rows: Tensor) -> Tensor:
        """(n, F) float32 on the device: the rows with these numbers."""
        stored = np.load(self.path, mmap_mode="r")[rows.cpu().numpy()]
        return self.codec.decode(torch.from_numpy(stored).to(self.device))

    def _header_bytes(self) -> int:
        return np.load(self.path, mmap_mode="r").offset

    def _cannot_write(self, error: OSError) -> CannotWrite:
        return CannotWrite(
            f"cannot write {self.path} ({error.strerror or error}): free some space, or choose another path"
        )
