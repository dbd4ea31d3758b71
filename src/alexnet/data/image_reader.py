"""Decodes stored images into batches: whole squares, or crops at random scales of whole photos."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.config import DataConfig
from alexnet.data.decode import Pixels
from alexnet.data.randomness import ImageRandomness
from alexnet.data.resize import resized_size, to_square
from alexnet.data.store import Split
from alexnet.errors import DataError

_COLOR_SPACES = {3: "RGB", 1: "GRAY"}
_FILTER, _REACH = Image.Resampling.BICUBIC, 2
"""The filter of `resize`, and the resized pixels that it reads on each side."""


class ImageReader(Protocol):
    """Fills a batch with images of a split; called from several threads at once."""

    @property
    def side(self) -> int:
        """Side of the images that it reads, in pixels."""
        ...

    def __call__(
        self, epoch: int, indices: NDArray[np.int64], positions: NDArray[np.int64], squares: Pixels
    ) -> None:
        """Fills `squares` (N, side, side, channels) with the images at `indices` (N,) of the split.

        `positions` (N,) are their positions in the order of this epoch. DataError names a damaged image.
        """
        ...


def training_reader(split: Split, data: DataConfig, seed: int) -> ImageReader:
    """The reader of training images: crops at random scales if `data.scales` is set, else stored squares."""
    return ScaledCrops(split, data, seed) if any(data.scales) else StoredSquares(split)


class StoredSquares:
    """Reads images as they are stored; of whole photos the central square."""

    def __init__(self, split: Split) -> None:
        self._split = split

    @property
    def side(self) -> int:
        """Side of the stored square, in pixels."""
        return self._split.manifest.side

    def __call__(
        self, epoch: int, indices: NDArray[np.int64], positions: NDArray[np.int64], squares: Pixels
    ) -> None:
        """As for `ImageReader`; epoch and positions have no effect."""
        for index, square in zip(indices.tolist(), squares, strict=True):
            read_square(self._split, index, square)


class ScaledCrops:
    """Reads a crop at a random position of each photo, resized to a random scale.

    Scale and position are functions of (seed, epoch, image), or of the images that share a draw.
    """

    def __init__(self, split: Split, data: DataConfig, seed: int) -> None:
        self._split, self._data, self._seed = split, data, seed

    @property
    def side(self) -> int:
        """Side of a crop, in pixels."""
        return self._data.input_size

    def __call__(
        self, epoch: int, indices: NDArray[np.int64], positions: NDArray[np.int64], squares: Pixels
    ) -> None:
        """As for `ImageReader`."""
        data = self._data
        drawn = positions if data.repeats_images else indices
        randomness = ImageRandomness(self._seed, epoch, drawn, positions).shared(data.images_per_draw)
        scales = data.scales[0] + randomness.integers("scale", data.scales[1] - data.scales[0] + 1)
        places = randomness.uniform("place", 2)
        for index, scale, place, square in zip(
            indices.tolist(), scales.tolist(), places.tolist(), squares, strict=True
        ):
            square[...] = scaled_crop(read_photo(self._split, index), scale, place, data.input_size)


def scaled_crop(photo: Pixels, scale: int, place: Sequence[float], crop: int) -> Pixels:
    """(crop, crop, C) of the uint8 `photo` (H, W, C) with its shorter side resized to `scale`.

    `place` (2,), each in [0, 1), is the position of the crop between top and bottom, left and right. Only the
    cropped part is resized; the result equals the crop of the whole resized photo (`resize.to_whole`).
    """
    height, width, _ = photo.shape
    tall, wide = resized_size(height, width, scale)
    top, left = (int(share * (length - crop + 1)) for share, length in zip(place, (tall, wide), strict=True))
    if (tall, wide) == (height, width):
        return photo[top : top + crop, left : left + crop]
    rows, y0, y1 = _reached(top, crop, height / tall, height)
    columns, x0, x1 = _reached(left, crop, width / wide, width)
    part = photo[rows, columns]
    picture = Image.fromarray(part[..., 0] if part.shape[2] == 1 else part)
    # Rows first, as in `resize`: each pass rounds, so the other order would give different pixels.
    across = picture.resize((crop, picture.height), _FILTER, (x0, 0, x1, picture.height))
    return np.asarray(across.resize((crop, crop), _FILTER, (0, y0, crop, y1))).reshape(crop, crop, -1)


def read_square(split: Split, index: int, square: Pixels) -> None:
    """Fills `square` (S, S, channels) with an image, or with the central square of a whole photo.

    An image whose shorter side is not S is resized first. DataError, naming the image, if the bytes are not
    what the manifest promises.
    """
    manifest, side = split.manifest, square.shape[0]
    if side != manifest.side:
        square[...] = to_square(read_photo(split, index), side)
    elif manifest.encoding == "raw" or manifest.shape == "whole":
        square[...] = _central(read_photo(split, index), side)
    else:
        with _naming(split, index):
            data, space = np.frombuffer(split.buffer(index), np.uint8), _COLOR_SPACES[manifest.channels]
            if simplejpeg.decode_jpeg(data, space, buffer=square).shape != square.shape:
                raise ValueError(f"it is not {side} x {side}")


def read_photo(split: Split, index: int) -> Pixels:
    """(H, W, channels) an image as it is stored; `stored_size` is its size.

    DataError as for `read_square`.
    """
    manifest = split.manifest
    with _naming(split, index):
        data = np.frombuffer(split.buffer(index), np.uint8)
        if manifest.encoding == "raw":
            return data.reshape(manifest.side, manifest.side, manifest.channels).copy()
        photo = simplejpeg.decode_jpeg(data, _COLOR_SPACES[manifest.channels])
        wanted = stored_size(split, index)
        if photo.shape[:2] != wanted:
            raise ValueError(f"it is not {wanted[1]} x {wanted[0]}")
        return photo


def stored_size(split: Split, index: int) -> tuple[int, int]:
    """(height, width) of an image as it is stored, without reading it."""
    side = split.manifest.side
    if split.manifest.shape == "square":
        return side, side
    width, height = split.size(index)
    return resized_size(height, width, side)


@contextmanager
def _naming(split: Split, index: int) -> Generator[None]:
    """A ValueError raised inside becomes a DataError that names the image."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError(
            f"image {split.key(index)!r} of split {split.name!r} is damaged in the store ({error}): "
            "run `alexnet prepare` again, into a new store"
        ) from None


def _central(image: Pixels, side: int) -> Pixels:
    """The central square of an image, its corner rounded down."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _reached(start: int, crop: int, step: float, length: int) -> tuple[slice, float, float]:
    """The range of pixels (of `length`) that the filter reads for `crop` resized pixels, each `step` wide,
    and the range of the crop among them.
    """
    first, reach = start * step, _REACH * max(step, 1.0) + 1
    last = first + crop * step
    read = slice(max(0, math.floor(first - reach)), min(length, math.ceil(last + reach)))
    return read, first - read.start, min(last, length) - read.start
