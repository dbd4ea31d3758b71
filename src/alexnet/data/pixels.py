"""Pixels of stored images: from the bytes of a store's record into a square of a batch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from alexnet.data.resize import resized_size, to_square
from alexnet.data.store import Split
from alexnet.errors import DataError

Pixels = NDArray[np.uint8]


class Reader(Protocol):
    """Fills squares of a batch with images of a split; threads call it at the same time."""

    @property
    def side(self) -> int:
        """Of the squares, in pixels."""
        ...

    def __call__(
        self, epoch: int, indices: NDArray[np.int64], positions: NDArray[np.int64], squares: Pixels
    ) -> None:
        """Fills `squares` (N, side, side, channels) with the images at `indices` (N,) of the split.

        `positions` (N,) say where in the order of this epoch they come. DataError names a damaged image.
        """
        ...


class StoredSquares:
    """Reads images as they are stored, of whole ones the central part."""

    def __init__(self, split: Split) -> None:
        self._split = split

    @property
    def side(self) -> int:
        """Of the stored square, in pixels."""
        return self._split.header.side

    def __call__(
        self, epoch: int, indices: NDArray[np.int64], positions: NDArray[np.int64], squares: Pixels
    ) -> None:
        """As `Reader` says; nothing depends on epoch and positions."""
        for index, square in zip(indices.tolist(), squares, strict=True):
            read_square(self._split, index, square)


def read_square(split: Split, index: int, square: Pixels) -> None:
    """Fills `square` (S, S, channels) with an image, of a whole one with its central part.

    An image whose shorter side is not S is resized to it first. DataError, naming the image, where the bytes
    are not what the header promises.
    """
    header, side = split.header, square.shape[0]
    if side != header.side:
        square[...] = to_square(read_photo(split, index), side)
    elif header.encoding == "raw" or header.shape == "whole":
        square[...] = _central(read_photo(split, index), side)
    else:
        with _naming(split, index):
            data, space = np.frombuffer(split.buffer(index), np.uint8), _SPACES[header.channels]
            if simplejpeg.decode_jpeg(data, space, buffer=square).shape != square.shape:
                raise ValueError(f"it is not {side} x {side}")


def read_photo(split: Split, index: int) -> Pixels:
    """(H, W, channels) an image as it is stored: `stored_size`.

    DataError as for `read_square`.
    """
    header = split.header
    with _naming(split, index):
        data = np.frombuffer(split.buffer(index), np.uint8)
        if header.encoding == "raw":
            return data.reshape(header.side, header.side, header.channels).copy()
        photo = simplejpeg.decode_jpeg(data, _SPACES[header.channels])
        wanted = stored_size(split, index)
        if photo.shape[:2] != wanted:
            raise ValueError(f"it is not {wanted[1]} x {wanted[0]}")
        return photo


def stored_size(split: Split, index: int) -> tuple[int, int]:
    """(height, width) of an image as it is stored, known without reading it."""
    side = split.header.side
    if split.header.shape == "square":
        return side, side
    width, height = split.size(index)
    return resized_size(height, width, side)


_SPACES = {3: "RGB", 1: "GRAY"}


@contextmanager
def _naming(split: Split, index: int) -> Generator[None]:
    """A ValueError raised meanwhile becomes a DataError that names the image."""
    try:
        yield
    except ValueError as error:
        raise DataError(
            f"image {split.key(index)!r} of split {split.name!r} is damaged in the store ({error}): "
            "run `alexnet prepare` again, into a new store"
        ) from None


def _central(image: Pixels, side: int) -> Pixels:
    """The central square of an image, floored."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]
