"""Errors of predictions by plain loops: reference implementation of alexnet.evaluation.metrics."""

from __future__ import annotations

import math


def is_right(probabilities: list[float], label: int, k: int) -> bool:
    """Places are given from the most probable down; among equals the true class is placed last."""
    order = sorted(range(len(probabilities)), key=lambda c: (-probabilities[c], c == label))
    return label in order[:k]


def errors(rows: list[list[float]], labels: list[int], k: int) -> int:
    return sum(not is_right(row, label, k) for row, label in zip(rows, labels, strict=True))


def nll(rows: list[list[float]], labels: list[int]) -> float:
    return sum(-math.log(row[label]) for row, label in zip(rows, labels, strict=True)) / len(labels)


def confusions(rows: list[list[float]], labels: list[int]) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for row, label in zip(rows, labels, strict=True):
        if not is_right(row, label, 1):
            others = [c for c in range(len(row)) if c != label]
            predicted = max(others, key=lambda c: (row[c], -c))
            counts[label, predicted] = counts.get((label, predicted), 0) + 1
    return counts


def predicted(rows: list[list[float]], labels: list[int]) -> list[int]:
    """The class that each image counts as: its own where it is right, else the best other one."""
    found: list[int] = []
    for row, label in zip(rows, labels, strict=True):
        others = [c for c in range(len(row)) if c != label]
        found.append(label if is_right(row, label, 1) else max(others, key=lambda c: (row[c], -c)))
    return found


def wilson(errors: int, images: int, steps: int = 200_000) -> tuple[float, float]:
    """By search: the rates p whose standardized distance to the observed rate is at most 1.96 (97.5 %)."""
    rate = errors / images
    inside = [
        p
        for p in (i / steps for i in range(steps + 1))
        if (rate - p) ** 2 <= 1.959963984540054**2 * p * (1 - p) / images
    ]
    return inside[0], inside[-1]
