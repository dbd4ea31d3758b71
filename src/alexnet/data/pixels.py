"""Pixels of stored images: from the bytes of a store's record into a square of a batch."""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from alexnet.data.store import Split
from alexnet.errors import DataError

Pixels = NDArray[np.uint8]


def read_square(split: Split, index: int, square: Pixels) -> None:
    """Fills `square` (side, side, channels) with an image, of a whole one with its central part.

    DataError, naming the image, where the bytes are not what the header promises.
    """
    header = split.header
    data = np.frombuffer(split.buffer(index), np.uint8)
    space = "RGB" if header.channels == 3 else "GRAY"
    try:
        if header.encoding == "raw":
            square.reshape(-1)[:] = data
        elif header.shape == "whole":
            square[...] = _central(simplejpeg.decode_jpeg(data, space), header.side)
        elif simplejpeg.decode_jpeg(data, space, buffer=square).shape != square.shape:
            raise ValueError(f"it is not {header.side} x {header.side}")
    except ValueError as error:
        raise DataError(
            f"image {split.key(index)!r} of split {split.name!r} is damaged in the store ({error}): "
            "run `alexnet prepare` again, into a new store"
        ) from None


def _central(image: Pixels, side: int) -> Pixels:
    """The central square of an image, floored; smaller than asked for if the image is."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]
