"""Where labels stand in a picture: each as near its own place as it can be, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GAP = 1
"""Pixels between two labels."""


class Area(NamedTuple):
    """A rectangle with whole edges, in pixels; its far edges are not part of it."""

    x0: int
    y0: int
    x1: int
    y1: int

    def overlaps(self, other: Area) -> bool:
        """Whether they share a pixel."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def holds(self, other: Area) -> bool:
        """Whether all of the other lies in it."""
        return self.x0 <= other.x0 and other.x1 <= self.x1 and self.y0 <= other.y0 and other.y1 <= self.y1


def free_place(wanted: Area, taken: Sequence[Area], inside: Area) -> Area | None:
    """An area of the same size within `inside` that overlaps none of `taken`, near the one that is wanted.

    It moves into the picture, then up or down until it is free, and sideways only where that does not help.
    None where there is no room.
    """
    width, height = wanted.x1 - wanted.x0, wanted.y1 - wanted.y0
    x = max(inside.x0, min(wanted.x0, inside.x1 - width))
    y = max(inside.y0, min(wanted.y0, inside.y1 - height))
    spots = [(x, y)]
    for each in taken:
        spots += [(x, each.y0 - GAP - height), (x, each.y1 + GAP)]
        spots += [(each.x1 + GAP, y), (each.x0 - GAP - width, y)]
    for left, low in sorted(spots, key=lambda spot: (abs(spot[0] - x), abs(spot[1] - y))):
        area = Area(left, low, left + width, low + height)
        if inside.holds(area) and not any(area.overlaps(each) for each in taken):
            return area
    return None
