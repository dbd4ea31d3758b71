"""Training crops of whole photos, each photo resized to a scale of its own.

Source: Simonyan and Zisserman 2014, section 3.1 ("training image size").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.config import DataConfig
from alexnet.data.pixels import Pixels, Reader, StoredSquares, read_photo
from alexnet.data.randomness import ImageRandomness
from alexnet.data.resize import resized_size
from alexnet.data.store import Split

_FILTER, _REACH = Image.Resampling.BICUBIC, 2
"""As in `resize`; it reaches that many resized pixels to each side."""


def training_reader(split: Split, data: DataConfig, seed: int) -> Reader:
    """What training images are read with: crops at random scales, or what is stored."""
    return ScaledCrops(split, data, seed) if any(data.scales) else StoredSquares(split)


class ScaledCrops:
    """Reads a square of each photo, of a random place in the photo at a random scale.

    Scale and place are functions of (seed, epoch, image), or of the images that share a draw.
    """

    def __init__(self, split: Split, data: DataConfig, seed: int) -> None:
        self._split, self._data, self._seed = split, data, seed

    @property
    def side(self) -> int:
        """Of a crop, in pixels."""
        return self._data.crop

    def __call__(
        self, epoch: int, indices: NDArray[np.int64], positions: NDArray[np.int64], squares: Pixels
    ) -> None:
        """As `Reader` says."""
        data = self._data
        randomness = ImageRandomness(self._seed, epoch, indices, positions).shared(data.images_per_draw)
        scales = data.scales[0] + randomness.integers("scale", data.scales[1] - data.scales[0] + 1)
        places = randomness.uniform("place", 2)
        for index, scale, place, square in zip(
            indices.tolist(), scales.tolist(), places.tolist(), squares, strict=True
        ):
            square[...] = scaled_crop(read_photo(self._split, index), scale, place, data.crop)


def scaled_crop(photo: Pixels, scale: int, place: Sequence[float], crop: int) -> Pixels:
    """(crop, crop, C) of the uint8 `photo` (H, W, C) with its shorter side resized to `scale`.

    `place` (2,), each in [0, 1), is where the crop lies between top and bottom, left and right. Only the part
    that it shows is resized, to the pixels of the whole photo resized (`resize.to_whole`) and cropped.
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
    # Rows first, as ever: each pass rounds, so the other order would give other pixels.
    across = picture.resize((crop, picture.height), _FILTER, (x0, 0, x1, picture.height))
    return np.asarray(across.resize((crop, crop), _FILTER, (0, y0, crop, y1))).reshape(crop, crop, -1)


def _reached(start: int, crop: int, step: float, length: int) -> tuple[slice, float, float]:
    """The pixels, of `length`, that the filter reads for `crop` resized ones, each `step` wide.

    And where these begin and end among them.
    """
    first, reach = start * step, _REACH * max(step, 1.0) + 1
    last = first + crop * step
    read = slice(max(0, math.floor(first - reach)), min(length, math.ceil(last + reach)))
    return read, first - read.start, min(last, length) - read.start
