"""What a test costs on paper: multiplications with a weight, counted without computing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

import torch

from alexnet.config import RunConfig
from alexnet.evaluation.views import Look
from alexnet.models.registry import build_run
from alexnet.models.summary import class_map_multiply_adds, summarise


def multiply_adds_a_photo(
    config: RunConfig, num_classes: int, looks: Sequence[Look], sizes: Iterable[tuple[int, int]]
) -> float:
    """Mean, over stored pictures of these sizes (height, width), of what all looks at one take."""
    of_crop = summarise(config, num_classes).multiply_adds
    with torch.device("meta"):
        model = build_run(config, num_classes).eval()

    @cache
    def of_map(height: int, width: int) -> int:
        return class_map_multiply_adds(model, config.data.channels, height, width)

    counts = Counter(sizes)
    total = sum(
        pictures * look.view.multiply_adds(*look.size(*size), config.data.crop, of_crop, of_map)
        for size, pictures in counts.items()
        for look in looks
    )
    return total / counts.total()
