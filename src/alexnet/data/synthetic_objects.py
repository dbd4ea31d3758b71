"""The things that made-up photos show: shapes and textures as functions of the thing's own coordinates.

A thing lives in the disc of radius 1 around (0, 0). A shape returns how far inside a point is, in radii, well
enough for a one-pixel edge, and negative outside; a texture returns 0..1, the share of its second colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
"""(height, width) float32, a value per pixel."""


def _disc(u: Plane, v: Plane) -> Plane:
    return 0.92 - np.hypot(u, v)


def _triangle(u: Plane, v: Plane) -> Plane:
    return 0.52 - np.maximum(v, np.abs(u) * 0.866 - v * 0.5)


def _cross(u: Plane, v: Plane) -> Plane:
    across, along = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(0.95 - across, 0.3 - along), np.minimum(0.3 - across, 0.95 - along))


def _ring(u: Plane, v: Plane) -> Plane:
    return 0.27 - np.abs(np.hypot(u, v) - 0.68)


def _star(u: Plane, v: Plane) -> Plane:
    """Five points: every angle is folded onto half a point, whose edge is one straight line."""
    wedge = 2 * math.pi / 5
    radius, angle = np.hypot(u, v), np.arctan2(u, -v)
    folded = np.abs((angle + wedge / 2) % wedge - wedge / 2)
    notch_x, notch_y = 0.45 * math.cos(wedge / 2), 0.45 * math.sin(wedge / 2)
    edge = math.hypot(1 - notch_x, notch_y)
    along, across = radius * np.cos(folded), radius * np.sin(folded)
    return ((1 - along) * notch_y - across * (1 - notch_x)) / edge


def _square(u: Plane, v: Plane) -> Plane:
    return 0.74 - np.maximum(np.abs(u), np.abs(v))


def _crescent(u: Plane, v: Plane) -> Plane:
    return np.minimum(0.95 - np.hypot(u, v), np.hypot(u - 0.5, v) - 0.7)


def _heart(u: Plane, v: Plane) -> Plane:
    """A square on its corner with a disc on each of its two upper sides."""
    corner = 0.62 - (np.abs(u) + np.abs(v - 0.12)) * 0.707 - 0.12
    discs = 0.5 - np.hypot(np.abs(u) - 0.36, v + 0.24)
    return np.maximum(corner, discs)


def _flower(u: Plane, v: Plane) -> Plane:
    return (0.65 + 0.3 * np.cos(6 * np.arctan2(v, u)) - np.hypot(u, v)) * 0.6


def _hourglass(u: Plane, v: Plane) -> Plane:
    return np.minimum(0.8 - np.abs(v), (np.abs(v) - np.abs(u)) * 0.707 + 0.12)


def _wave(phase: Plane, sharpness: float = 3.0) -> Plane:
    """A soft-edged square wave, 0..1, of a phase in periods."""
    return np.clip(0.5 + sharpness * np.sin(2 * math.pi * phase), 0, 1)


def _striped(u: Plane, v: Plane) -> Plane:
    return _wave(u * 2.1)


def _spotted(u: Plane, v: Plane) -> Plane:
    turn = 2 * math.pi * 2
    return np.clip(0.2 + 2 * (np.cos(turn * u) + np.cos(turn * v) - 0.6), 0, 1)


def _checkered(u: Plane, v: Plane) -> Plane:
    turn = 2 * math.pi * 1.1
    return np.clip(0.5 + 5 * np.sin(turn * u) * np.sin(turn * v), 0, 1)


def _rayed(u: Plane, v: Plane) -> Plane:
    return _wave(np.arctan2(v, u) * (7 / (2 * math.pi)))


def _ringed(u: Plane, v: Plane) -> Plane:
    return _wave(np.hypot(u, v) * 2.4)


def _zigzag(u: Plane, v: Plane) -> Plane:
    return _wave(u * 1.8 + np.abs((v * 1.5) % 1 - 0.5) * 1.6)


def _netted(u: Plane, v: Plane) -> Plane:
    turn = math.pi * 2.2
    lines = np.maximum(np.abs(np.cos(turn * (u + v) * 0.707)), np.abs(np.cos(turn * (u - v) * 0.707)))
    return np.clip((lines - 0.9) * 20, 0, 1)


def _bricked(u: Plane, v: Plane) -> Plane:
    row = v * 2.5
    column = u * 1.4 + 0.5 * (np.floor(row) % 2)
    joint = np.minimum(np.minimum(row % 1, -row % 1), np.minimum(column % 1, -column % 1) * 1.8)
    return np.clip((joint - 0.06) * 20, 0, 1)


def _mottled(u: Plane, v: Plane) -> Plane:
    """Blotches without a direction: seven plane waves that share no period."""
    total = np.zeros_like(u)
    for number in range(7):
        angle, turns = 2.4 * number, 1.3 + 0.23 * number
        along = math.cos(angle) * u + math.sin(angle) * v
        total += np.sin(2 * math.pi * turns * along + number)
    return np.clip(0.5 + total, 0, 1)


def _plain(u: Plane, v: Plane) -> Plane:
    return np.zeros_like(u)


SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "disc": _disc,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "star": _star,
    "square": _square,
    "crescent": _crescent,
    "heart": _heart,
    "flower": _flower,
    "hourglass": _hourglass,
}
TEXTURES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "striped": _striped,
    "spotted": _spotted,
    "checkered": _checkered,
    "rayed": _rayed,
    "ringed": _ringed,
    "plain": _plain,
    "netted": _netted,
    "mottled": _mottled,
    "bricked": _bricked,
    "zigzag": _zigzag,
}
