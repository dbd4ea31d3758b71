"""What a test costs on paper: multiplications with a weight, counted without computing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import torch

from alexnet.config import RunConfig
from alexnet.data.pixels import stored_size
from alexnet.data.store import Split
from alexnet.evaluation.views import Look, sizes_seen
from alexnet.models.registry import build_run
from alexnet.models.summary import class_map_multiply_adds, summarise


def multiply_adds_a_photo(config: RunConfig, looks: Sequence[Look], photos: Split) -> float:
    """Mean over the photos of what all looks at one take, by the net of that configuration."""
    num_classes, crop = len(photos.header.classes), config.data.crop
    of_crop = summarise(config, num_classes).multiply_adds
    with torch.device("meta"):
        model = build_run(config, num_classes).eval()

    @cache
    def of_map(height: int, width: int) -> int:
        return class_map_multiply_adds(model, config.data.channels, height, width)

    sizes = Counter(sizes_seen(looks, stored_size(photos, number)) for number in range(len(photos)))
    total = sum(
        count * look.view.multiply_adds(*size, crop, of_crop, of_map)
        for seen, count in sizes.items()
        for look, size in zip(looks, seen, strict=True)
    )
    return total / max(1, len(photos))
