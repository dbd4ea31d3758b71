"""SIFT of one upright patch, pixel by pixel, and colors of one patch, cell by cell."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]


def sift(gray: Floats, x: int, y: int, cell: float, blur: float) -> Floats:
    """(128,) of the patch of 4 x 4 cells around pixel (x, y) of `gray` (H, W), smoothed by `blur` cells."""
    smooth = gaussian_filter(gray, blur * cell, mode="mirror", radius=round(4 * blur * cell))
    histogram = np.zeros((4, 4, 8))
    height, width = gray.shape
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            right = smooth[row, column + 1] - smooth[row, column - 1]
            up = smooth[row - 1, column] - smooth[row + 1, column]
            down_cells, right_cells = (row - y) / cell, (column - x) / cell
            window = math.exp(-(down_cells**2 + right_cells**2) / (2 * 2**2))
            _share_out(
                histogram,
                (down_cells + 1.5, right_cells + 1.5, math.atan2(up, right) * 8 / math.tau),
                math.hypot(right, up) * window,
            )
    return histogram.ravel()


def _share_out(histogram: Floats, place: tuple[float, float, float], amount: float) -> None:
    """Trilinear: to the bins on both sides along each axis; orientations go round, cells end."""
    row, column, orientation = (math.floor(each) for each in place)
    for down in (0, 1):
        for right in (0, 1):
            for turn in (0, 1):
                bins = (row + down, column + right, (orientation + turn) % 8)
                if 0 <= bins[0] < 4 and 0 <= bins[1] < 4:
                    shares = [
                        1 - abs(where - cell)
                        for where, cell in zip(
                            place, (row + down, column + right, orientation + turn), strict=True
                        )
                    ]
                    histogram[bins] += amount * math.prod(shares)


def normalized(histogram: Floats) -> Floats:
    """Length one, at most 0.2, length one."""
    clipped = np.minimum(histogram / np.linalg.norm(histogram), 0.2)
    return clipped / np.linalg.norm(clipped)


def colors(image: Floats, x: int, y: int, patch: int) -> Floats:
    """(96,) of the patch around pixel (x, y) of `image` (3, H, W): 16 means and 16 deviations a color."""
    cell, numbers = patch // 4, []
    for channel in image:
        squares = [
            channel[top : top + cell, left : left + cell]
            for top in range(y - patch // 2, y + patch // 2, cell)
            for left in range(x - patch // 2, x + patch // 2, cell)
        ]
        numbers += [square.mean() for square in squares] + [square.std() for square in squares]
    return np.array(numbers)
