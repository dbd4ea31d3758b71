"""Boxes one at a time, by counting pixels: reference implementation of `alexnet.data.boxes`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pixels_of(box: Sequence[int]) -> set[tuple[int, int]]:
    """The pixels of a box with whole edges."""
    x0, y0, x1, y1 = box
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def iou(first: Sequence[int], second: Sequence[int]) -> float:
    """Of boxes with whole edges, by counting pixels."""
    some, others = pixels_of(first), pixels_of(second)
    return len(some & others) / len(some | others) if some | others else 0.0


def painted(height: int, width: int, box: Sequence[int]) -> np.ndarray:
    """(height, width, 3) black, and the pixels of the box white."""
    picture = np.zeros((height, width, 3), np.uint8)
    x0, y0, x1, y1 = box
    picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = 255
    return picture


def bounds(picture: np.ndarray, level: int = 127) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of what is brighter than `level` in a picture (H, W, C); None if nothing is."""
    rows, columns = np.nonzero(picture.max(axis=-1) > level)
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
