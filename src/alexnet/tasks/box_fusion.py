"""Box fusion: the closest two of many boxes of one class are merged, repeatedly.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 4.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import Corners

Scores = npt.NDArray[np.float64]

FARTHEST_MATCH = 0.7
"""Match score above which two boxes are not merged: that of equal squares whose distance is three tenths of a
side. Ours, found on training photos of Tiny ImageNet: the paper has a threshold but does not give its
value."""


def match_scores(some: npt.ArrayLike, others: npt.ArrayLike) -> Corners:
    """(N, M) how badly boxes match: 0 if they are equal, 1 or more if they do not overlap.

    It is the distance of their centers, in units of their mean diagonal, plus the fraction of their union
    that is not common. The paper adds "the distance between centers" and "the intersection area" and merges
    the pair with the smallest sum: taken literally, boxes that overlap much would not be merged.
    """
    first, second = np.asarray(some, np.float64)[:, None], np.asarray(others, np.float64)[None]
    apart = np.linalg.norm(_centers(first) - _centers(second), axis=-1)
    diagonals = (_diagonals(first) + _diagonals(second)) / 2
    distance = np.divide(apart, diagonals, out=np.zeros_like(apart), where=diagonals > 0)
    return distance + 1.0 - box_geometry.iou(some, others)


def merge(corners: npt.NDArray[Any], scores: npt.NDArray[Any]) -> tuple[Corners, Scores]:
    """(M, 4) merged boxes and (M,) scores of boxes `corners` (B, 4) with `scores` (B,), the best first.

    As long as the best match is within `FARTHEST_MATCH`, two boxes are replaced by their mean, weighted by
    their scores, with the sum of the scores; among equal matches, the first pair is taken. So a merged box is
    the weighted mean of all its boxes. The paper "computes the average": as the average of each pair, the
    last box would count half.
    """
    boxes, sums = np.array(corners, np.float64), np.array(scores, np.float64)
    alive = np.ones(len(boxes), np.bool_)
    matches = _Matches(boxes)
    while len(boxes) and matches.nearest.min() <= FARTHEST_MATCH:
        first = int(matches.nearest.argmin())
        second = int(matches.partner[first])
        # If both scores are 0, they have the same weight.
        share = sums[second] / total if (total := sums[first] + sums[second]) > 0 else 0.5
        boxes[first] += share * (boxes[second] - boxes[first])
        sums[first] += sums[second]
        alive[second] = False
        matches.merged(first, second, np.where(alive, match_scores(boxes[first, None], boxes)[0], np.inf))
    order = np.argsort(-sums[alive], kind="stable")
    return boxes[alive][order], sums[alive][order]


class _Matches:
    """The match scores of all pairs, each kept in the row of its first box, and every row's best."""

    def __init__(self, boxes: Corners) -> None:
        self._scores = match_scores(boxes, boxes)
        self._scores[np.tril_indices(len(boxes))] = np.inf
        self.nearest = self._scores.min(axis=1, initial=np.inf)
        self.partner = self._scores.argmin(axis=1) if len(boxes) else np.empty(0, np.int64)

    def merged(self, first: int, second: int, fresh: Scores) -> None:
        """Updates the matches: box `first` now has the match scores `fresh` (B,); box `second` is removed."""
        stale = np.flatnonzero((self.partner == first) | (self.partner == second))
        self._scores[second], self._scores[:, second] = np.inf, np.inf
        self._scores[first, first + 1 :], self._scores[:first, first] = fresh[first + 1 :], fresh[:first]
        closer = np.flatnonzero(fresh[:first] < self.nearest[:first])
        self.nearest[closer], self.partner[closer] = fresh[closer], first
        for row in {first, second, *stale.tolist()}:
            self.partner[row] = self._scores[row].argmin()
            self.nearest[row] = self._scores[row, self.partner[row]]


def _centers(boxes: Corners) -> Corners:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _diagonals(boxes: Corners) -> Corners:
    return np.linalg.norm(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
