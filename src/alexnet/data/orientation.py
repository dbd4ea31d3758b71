"""EXIF orientation, 1 to 8: how a photo as stored is turned to be upright, and its size and boxes with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

TAG = 0x0112
"""Of EXIF and TIFF."""

Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1 in fractions of a photo."""

_POINTS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""Where a point of the stored photo is in the upright one."""
_INVERSE = {6: 8, 8: 6}


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation >= 5


def turn_pixels(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """The upright pixels of stored ones, (H, W, C) or (W, H, C)."""
    if swaps_sides(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def turn_box(corners: Corners, orientation: int) -> Corners:
    """A box of the stored photo in the upright one."""
    x0, y0, x1, y1 = corners
    (left, top), (right, bottom) = (_POINTS[orientation](x, y) for x, y in ((x0, y0), (x1, y1)))
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def turn_box_back(corners: Corners, orientation: int) -> Corners:
    """A box of the upright photo in the stored one."""
    return turn_box(corners, _INVERSE.get(orientation, orientation))
