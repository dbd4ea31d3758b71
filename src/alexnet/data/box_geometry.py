"""Where a box lies in another view of its picture, and how much two boxes share.

Boxes are float arrays (..., 4) of x0, y0, x1, y1: edges, y downwards, so that x1 - x0 is the width. Units are
pixels or shares of a picture, the same for all of one call. A window is a box too: the part of a picture that
a crop, a stored square or a net's field of view shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alexnet.data.resize import crop_offset

Corners = NDArray[np.float64]

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""A whole picture, in shares of it."""


def area(boxes: ArrayLike) -> NDArray[np.float64]:
    """(...,) in square units; 0 where a box is empty or reversed."""
    x0, y0, x1, y1 = _edges(boxes)
    return np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)


def clip(boxes: ArrayLike, window: ArrayLike = WHOLE) -> Corners:
    """(..., 4) the part of each box that lies in the window; of area 0 where none does."""
    left, top, right, bottom = _edges(window)
    x0, y0, x1, y1 = _edges(boxes)
    across = (np.clip(x, left, right) for x in (x0, x1))
    down = (np.clip(y, top, bottom) for y in (y0, y1))
    (x0, x1), (y0, y1) = across, down
    return np.stack(np.broadcast_arrays(x0, y0, x1, y1), axis=-1)


def ordered(boxes: ArrayLike) -> Corners:
    """(..., 4) the same corners with x0 <= x1 and y0 <= y1: a net may name them the other way round."""
    x0, y0, x1, y1 = _edges(boxes)
    return np.stack([np.minimum(x0, x1), np.minimum(y0, y1), np.maximum(x0, x1), np.maximum(y0, y1)], axis=-1)


def iou(some: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """(N, M) intersection over union of each of `some` (N, 4) with each of `others` (M, 4), 0 to 1.

    Of edges: of pixels with both ends included, the last ones count as one more, as ILSVRC and PASCAL VOC
    count. 0 where both are empty.
    """
    first, second = np.asarray(some, np.float64)[:, None], np.asarray(others, np.float64)[None]
    common = area(clip(first, second))
    union = area(first) + area(second) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def covered(boxes: ArrayLike, windows: ArrayLike) -> NDArray[np.float64]:
    """(...,) the share of each box's area that its window shows, 0 to 1; 0 for empty boxes."""
    whole, seen = area(boxes), area(clip(boxes, windows))
    return np.divide(seen, whole, out=np.zeros_like(seen), where=whole > 0)


def to_window(boxes: ArrayLike, windows: ArrayLike, mirrored: ArrayLike = 0) -> Corners:
    """(..., 4) the boxes in shares of their windows, not clipped: below 0 and above 1 is outside.

    `mirrored` (...,) is 1 where the view shows left and right swapped. Shapes broadcast.
    """
    left, top, right, bottom = _edges(windows)
    x0, y0, x1, y1 = _edges(boxes)
    across = [(x - left) / (right - left) for x in (x0, x1)]
    down = [(y - top) / (bottom - top) for y in (y0, y1)]
    return _stacked(across, down, np.asarray(mirrored))


def from_window(boxes: ArrayLike, windows: ArrayLike, mirrored: ArrayLike = 0) -> Corners:
    """(..., 4) in the windows' units, from boxes in shares of their windows: undoes `to_window`."""
    left, top, right, bottom = _edges(windows)
    x0, y0, x1, y1 = _edges(mirror(boxes, mirrored))
    across = [left + x * (right - left) for x in (x0, x1)]
    down = [top + y * (bottom - top) for y in (y0, y1)]
    return _stacked(across, down, np.asarray(0))


def mirror(boxes: ArrayLike, mirrored: ArrayLike = 1) -> Corners:
    """(..., 4) boxes in shares of a picture, left and right swapped where `mirrored` (...,) is 1."""
    x0, y0, x1, y1 = _edges(boxes)
    return _stacked([x0, x1], [y0, y1], np.asarray(mirrored))


def crop_windows(positions: ArrayLike, side: int, crop: int) -> Corners:
    """(..., 4) windows of crops at `positions` (..., 3) of (y, x, mirrored), in shares of a square of `side`.

    Positions are in pixels, as `data.views` and `data.augment` give them; mirroring is `positions[..., 2]`.
    """
    y, x = np.moveaxis(np.asarray(positions, np.float64)[..., :2], -1, 0)
    return np.stack([x, y, x + crop, y + crop], axis=-1) / side


def central_window(height: int, width: int, side: int) -> Corners:
    """(4,) the central square of `side` pixels of a picture, in shares of the picture's width and height.

    It goes beyond the picture where that is smaller, as a padded one is.
    """
    top, left = crop_offset(height, width, side)
    return np.array([left / width, top / height, (left + side) / width, (top + side) / height])


def _edges(boxes: ArrayLike) -> NDArray[np.float64]:
    """(4, ...) x0, y0, x1, y1."""
    return np.moveaxis(np.asarray(boxes, np.float64), -1, 0)


def _stacked(
    across: list[NDArray[np.float64]], down: list[NDArray[np.float64]], mirrored: NDArray[np.integer]
) -> Corners:
    x0, x1 = across
    swapped = mirrored == 1
    left, right = np.where(swapped, 1 - x1, x0), np.where(swapped, 1 - x0, x1)
    return np.stack(np.broadcast_arrays(left, down[0], right, down[1]), axis=-1)
