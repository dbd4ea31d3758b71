"""What windows of an image show: an object, of which class and where, or background, or neither.

Ours: Sermanet et al. 2013 (arXiv:1312.6229), section 5, does not say when a window is which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alexnet.data import box_geometry
from alexnet.data.box_geometry import Corners

SEEN = 0.75
"""Least share of an object's box in a window that shows it."""
SMALLEST_OBJECT = 0.6
"""Least longer side of its box, in sides of the window; smaller ones are for larger scales."""
MOST_IN_BACKGROUND = 0.5
"""A window is background where it shows less than this of any box, and no box covers as much of it."""
NOT_ASKED = -1
"""The label of a window that is neither an object's nor background."""


def window_targets(
    boxes: Corners, labels: NDArray[np.integer], windows: Corners, background: int
) -> tuple[NDArray[np.int64], Corners]:
    """What each of the windows (P, 4) shows of an image with boxes (B, 4) of `labels` (B,), and where.

    (P,) the label of the object that it overlaps most of those it shows, or `background`, or `NOT_ASKED`
    where it is neither; and (P, 4) that object's box in shares of the window, zeros where there is none.
    Boxes and windows are in the same units.
    """
    places = np.zeros((len(windows), 4))
    if not len(boxes):
        return np.full(len(windows), background, np.int64), places
    here, there = boxes[None], windows[:, None]
    in_window, of_window = box_geometry.covered(here, there), box_geometry.covered(there, here)
    longer = (here[..., 2:] - here[..., :2]).max(axis=-1)
    showing = (in_window >= SEEN) & (longer >= SMALLEST_OBJECT * (there[..., 2] - there[..., 0]))
    shown = showing.any(axis=1)
    best = np.where(showing, box_geometry.iou(windows, boxes), -1.0).argmax(axis=1)
    empty = (np.maximum(in_window, of_window) < MOST_IN_BACKGROUND).all(axis=1)
    places[shown] = box_geometry.to_window(boxes[best], windows)[shown]
    others = np.where(empty, background, NOT_ASKED)
    return np.where(shown, labels[best], others).astype(np.int64), places
