"""Photos' vectors on disk: one numpy file that is written in order and read in any, never whole in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.classic.product_quantizer import ProductQuantizer
from alexnet.files import CannotWrite


class Codec(Protocol):
    """How vectors lie in the file."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Of a number in the file."""
        ...

    def width(self, size: int) -> int:
        """Numbers in the file for a vector of `size`."""
        ...

    def encode(self, vectors: Tensor) -> Tensor:
        """(N, F) float32 -> (N, width)."""
        ...

    def decode(self, stored: Tensor) -> Tensor:
        """(N, width) -> (N, F) float32."""
        ...


class Halves:
    """float16: two bytes a number, to three digits."""

    dtype: npt.DTypeLike = np.float16

    def width(self, size: int) -> int:
        """As many."""
        return size

    def encode(self, vectors: Tensor) -> Tensor:
        """Rounds."""
        return vectors.half()

    def decode(self, stored: Tensor) -> Tensor:
        """Widens."""
        return stored.float()


class Quantized:
    """Bytes of a fitted product quantiser."""

    dtype: npt.DTypeLike = np.uint8

    def __init__(self, quantizer: ProductQuantizer):
        self.quantizer = quantizer

    def width(self, size: int) -> int:
        """A byte for each group."""
        return -(-size // self.quantizer.group)

    def encode(self, vectors: Tensor) -> Tensor:
        """Numbers of the nearest centres."""
        return self.quantizer.transform(vectors)

    def decode(self, stored: Tensor) -> Tensor:
        """The centres."""
        return self.quantizer.inverse_transform(stored)


class FeatureFile:
    """`count` vectors of `size` numbers in the numpy file `path`, which anything that reads .npy opens.

    It is mapped anew for each access, so that what was read does not stay with the process.
    """

    def __init__(self, path: Path, count: int, size: int, codec: Codec, device: torch.device | str = "cpu"):
        self.path, self.count, self.size, self.codec = path, count, size, codec
        self.device = torch.device(device)

    def create(self) -> None:
        """Makes the file, its place on the disk not yet taken; CannotWrite where the disk refuses."""
        shape = self.count, self.codec.width(self.size)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            np.lib.format.open_memmap(self.path, "w+", self.codec.dtype, shape)
        except OSError as error:
            raise self._cannot_write(error) from error

    def write(self, first: int, vectors: Tensor) -> None:
        """Puts vectors (n, F) at rows `first`, ..., synced. CannotWrite where the disk is full."""
        stored = self.codec.encode(vectors).cpu().numpy()
        try:
            with self.path.open("r+b") as file:  # a mapping that meets a full disk kills the process
                file.seek(self._header_bytes() + first * stored[:1].nbytes)
                file.write(stored.tobytes())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error

    def read(self, rows: Tensor) -> Tensor:
        """(n, F) float32 on the device, of the rows with those numbers."""
        stored = np.load(self.path, mmap_mode="r")[rows.cpu().numpy()]
        return self.codec.decode(torch.from_numpy(stored).to(self.device))

    def _header_bytes(self) -> int:
        return np.load(self.path, mmap_mode="r").offset

    def _cannot_write(self, error: OSError) -> CannotWrite:
        return CannotWrite(
            f"cannot write {self.path} ({error.strerror or error}): free some space, or choose another place"
        )
