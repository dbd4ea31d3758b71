"""The localization error, by loops over images and predictions: reference implementation of
`alexnet.tasks.localization`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Box = Sequence[float]


def overlap(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return common / (sum(areas) - common)


def errors(
    predictions: Sequence[Sequence[tuple[int, Box]]],
    labels: Sequence[int],
    truth: Sequence[Sequence[tuple[int, Box]]],
    k: int,
) -> dict[str, Any]:
    """Images scored and wrong, by class and box and by class alone."""
    scored = placed = named = 0
    for predicted, label, boxes in zip(predictions, labels, truth, strict=True):
        own = [box for its_label, box in boxes if its_label == label]
        if not own:
            continue
        scored += 1
        named += any(its_label == label for its_label, _ in predicted[:k])
        placed += any(
            its_label == label and overlap(box, true) >= 0.5
            for its_label, box in predicted[:k]
            for true in own
        )
    return {"images": scored, "localization": scored - placed, "classification": scored - named}
