"""The computed cost of a test: multiplications with a weight, counted without running the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import torch

from alexnet.config import RunConfig
from alexnet.data.image_reader import stored_size
from alexnet.data.store import Split
from alexnet.evaluation.views import ScaledView, rendered_sizes
from alexnet.models.registry import build_run
from alexnet.models.summary import class_map_multiply_adds, summarize


def multiply_adds_per_photo(config: RunConfig, scaled: Sequence[ScaledView], photos: Split) -> float:
    """Multiply-adds per photo, for all views together: the mean over the photos, for the model of this
    configuration.
    """
    num_classes, crop = len(photos.manifest.classes), config.data.input_size
    of_crop = summarize(config, num_classes).multiply_adds
    with torch.device("meta"):
        model = build_run(config, num_classes).eval()

    @cache
    def of_map(height: int, width: int) -> int:
        return class_map_multiply_adds(model, config.data.channels, height, width)

    sizes = Counter(rendered_sizes(scaled, stored_size(photos, number)) for number in range(len(photos)))
    total = sum(
        count * each.view.multiply_adds(*size, crop, of_crop, of_map)
        for rendered, count in sizes.items()
        for each, size in zip(scaled, rendered, strict=True)
    )
    return total / max(1, len(photos))
