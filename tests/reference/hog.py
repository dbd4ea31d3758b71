"""One patch's histogram of oriented gradients by loops over cells, blocks and orientations."""

from __future__ import annotations

import math

import numpy as np


def descriptor(image: np.ndarray, top: int, left: int, cell: int) -> np.ndarray:
    """(124,) of the patch of 4 x 4 cells at (top, left) of an image (H, W, 3)."""
    cells = [
        [histogram(image, top + row * cell, left + column * cell, cell) for column in range(4)]
        for row in range(4)
    ]
    parts = [described(cells, row, column) for row in (1, 2) for column in (1, 2)]
    return np.concatenate(parts)


def histogram(image: np.ndarray, top: int, left: int, cell: int) -> np.ndarray:
    """(18,) sums of the gradients' magnitudes in one cell."""
    bins = np.zeros(18)
    for y in range(top, top + cell):
        for x in range(left, left + cell):
            candidates = []
            for channel in range(3):
                inside_y, inside_x = 0 < y < image.shape[0] - 1, 0 < x < image.shape[1] - 1
                down = image[y + 1, x, channel] - image[y - 1, x, channel] if inside_y else 0.0
                right = image[y, x + 1, channel] - image[y, x - 1, channel] if inside_x else 0.0
                candidates.append((math.hypot(down, right), down, right))
            magnitude, down, right = max(candidates, key=lambda candidate: candidate[0])
            degrees = math.degrees(math.atan2(down, right)) % 360
            bins[int(degrees // 20) % 18] += magnitude
    return bins


def described(cells: list[list[np.ndarray]], row: int, column: int) -> np.ndarray:
    """(31,) of one cell: 18 signed, 9 unsigned, 4 textures."""
    signed = cells[row][column]
    unsigned = signed[:9] + signed[9:]
    result_signed, result_unsigned, textures = np.zeros(18), np.zeros(9), []
    for top, left in ((row - 1, column - 1), (row - 1, column), (row, column - 1), (row, column)):
        energy = 0.0
        for y in (top, top + 1):
            for x in (left, left + 1):
                energy += float(((cells[y][x][:9] + cells[y][x][9:]) ** 2).sum())
        norm = math.sqrt(energy + 1e-4)
        result_signed += np.minimum(signed / norm, 0.2) / 2
        result_unsigned += np.minimum(unsigned / norm, 0.2) / 2
        textures.append(0.2357 * np.minimum(signed / norm, 0.2).sum())
    return np.concatenate([result_signed, result_unsigned, textures])
