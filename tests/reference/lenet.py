"""The LeNets unit by unit, in loops over plain numbers; and equation 9 as it is printed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

H1_LEFT_OUT_BY_H2 = [(8, 9, 10, 11)] * 4 + [(0, 1, 2, 3)] * 4 + [(4, 5, 6, 7)] * 4

TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""
"""LeCun et al. 1998, table I: a row for each map of S2, a column for each of C3."""


def squashed(a: Array) -> Array:
    return 1.7159 * np.tanh(2 / 3 * a)


def net_1989(weights: dict[str, Array], image: Array) -> Array:
    """The ten outputs for one image (16, 16): every unit by itself, -1 beyond the borders."""
    h1 = np.empty((12, 8, 8))
    for m in range(12):
        for y in range(8):
            for x in range(8):
                kernel, bias = weights["H1.weight"][m], weights["H1.bias"][m, y, x]
                h1[m, y, x] = bias + weighed(kernel, image, 2 * y - 2, 2 * x - 2)
    h1 = squashed(h1)
    h2 = np.empty((12, 4, 4))
    kernels = iter(weights["H2.weight"])
    for m in range(12):
        own = {i: next(kernels) for i in range(12) if i not in H1_LEFT_OUT_BY_H2[m]}
        for y in range(4):
            for x in range(4):
                sums = [weighed(kernel, h1[i], 2 * y - 2, 2 * x - 2) for i, kernel in own.items()]
                h2[m, y, x] = weights["H2.bias"][m, y, x] + sum(sums)
    h2 = squashed(h2)
    h3 = squashed(weights["H3.weight"] @ h2.reshape(-1) + weights["H3.bias"])
    return squashed(weights["output.weight"] @ h3 + weights["output.bias"])


def weighed(kernel: Array, map_: Array, top: int, left: int) -> float:
    """The weighted sum of a window whose corner is there; what lies outside the map is -1."""
    height, width = map_.shape
    total = 0.0
    for i in range(5):
        for j in range(5):
            y, x = top + i, left + j
            inside = 0 <= y < height and 0 <= x < width
            total += kernel[i, j] * (map_[y, x] if inside else -1.0)
    return total


def s2(maps: Array, coefficients: Array, biases: Array) -> Array:
    """Sub-sampled sums (6, 14, 14) of six maps (6, 28, 28), before they are squashed."""
    found = np.empty((len(maps), maps.shape[1] // 2, maps.shape[2] // 2))
    for m, y, x in np.ndindex(*found.shape):
        four = [maps[m, 2 * y + i, 2 * x + j] for i in (0, 1) for j in (0, 1)]
        found[m, y, x] = coefficients[m] * sum(four) + biases[m]
    return found


def c3(maps: Array, kernels: Array, biases: Array) -> Array:
    """Sums (16, 10, 10) of six maps (6, 14, 14) by table I, before they are squashed."""
    rows = TABLE_I.split()
    found = np.empty((16, 10, 10))
    left = iter(kernels)
    for m in range(16):
        own = {i: next(left) for i in range(6) if rows[i][m] == "X"}
        for y in range(10):
            for x in range(10):
                sums = [weighed(kernel, maps[i], y, x) for i, kernel in own.items()]
                found[m, y, x] = biases[m] + sum(sums)
    assert next(left, None) is None
    return found


def equation_9(distances: Array, label: int, j: float) -> float:
    """y_D + log(exp(-j) + sum of exp(-y_i)), for one image."""
    return float(distances[label]) + math.log(math.exp(-j) + sum(math.exp(-y) for y in distances))
