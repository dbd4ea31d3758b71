"""Greedy merging as in section 4.3 of Sermanet et al.: every pair is compared again after each merge."""

from __future__ import annotations

import math

Box = tuple[float, float, float, float]


def match_score(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    union = _area(one) + _area(other) - common
    apart = math.dist(
        ((one[0] + one[2]) / 2, (one[1] + one[3]) / 2), ((other[0] + other[2]) / 2, (other[1] + other[3]) / 2)
    )
    diagonal = (_diagonal(one) + _diagonal(other)) / 2
    return (apart / diagonal if diagonal else 0.0) + 1 - (common / union if union else 0.0)


def merge(boxes: list[Box], scores: list[float], farthest: float) -> list[tuple[float, Box]]:
    """(score, box), the highest score first."""
    left = list(zip(scores, boxes, strict=True))
    while len(left) > 1:
        pairs = [
            (match_score(left[i][1], left[j][1]), i, j)
            for i in range(len(left))
            for j in range(i + 1, len(left))
        ]
        closest, i, j = min(pairs)
        if closest > farthest:
            break
        (one_score, one), (other_score, other) = left[i], left[j]
        mean = tuple(
            (one_score * a + other_score * b) / (one_score + other_score)
            for a, b in zip(one, other, strict=True)
        )
        left[i] = (one_score + other_score, mean)  # type: ignore[assignment]
        del left[j]
    return sorted(left, key=lambda each: -each[0])


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _diagonal(box: Box) -> float:
    return math.hypot(max(box[2] - box[0], 0.0), max(box[3] - box[1], 0.0))
