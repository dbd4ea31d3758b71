"""Changes of the common net that claims ask for: from a variant, and what it sees, to a variant."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from alexnet.config import DataConfig
from alexnet.errors import CommandError
from alexnet.models.alexnet import READS_BOTH_TOWERS, AlexNet
from alexnet.models.alexnet_variants import Variant
from alexnet.models.summary import summarise_model

Change = Callable[[Variant, DataConfig], Variant]
SAME_COST = 0.03
"""By which multiply-adds may differ and still count as the same."""
SMALL_WINDOW = 5
"""Pixels across, of photos too small for conv1's 11 at a stride of 4."""


def fields(**changes: Any) -> Change:
    """The same net with some fields changed."""
    return lambda variant, data: replace(variant, **changes)


def wider(factor: float) -> Change:
    """`factor` times as many maps and units in each layer, first weights as large as keeps a unit's sum."""

    def change(variant: Variant, data: DataConfig) -> Variant:
        return with_widths(variant, [_even(factor * width) for width in variant.widths], variant.towers)

    return change


@functools.cache  # it counts some dozens of nets
def one_tower(variant: Variant, data: DataConfig) -> Variant:
    """One tower instead of two, with fewer maps, so that the multiply-adds are the same within `SAME_COST`.

    The fully connected layers stay as they are. CommandError where no such numbers of maps are found.
    """
    convolutions = len(variant.widths) - 2
    cost = multiply_adds(variant, data)
    tried: dict[float, Variant] = {}
    for factor in np.linspace(1.0, 0.5, 26):
        widths = [_even(factor * width) for width in variant.widths[:convolutions]]
        one = with_widths(variant, [*widths, *variant.widths[convolutions:]], 1)
        tried[abs(multiply_adds(one, data) / cost - 1)] = one
    nearest = min(tried)
    if nearest > SAME_COST:
        raise CommandError("no single tower costs as much as the two: choose a net of more maps")
    return tried[nearest]


def without_words(*words: str) -> Change:
    """Nothing of those words, such as `lrn`, follows any layer."""

    def change(variant: Variant, data: DataConfig) -> Variant:
        stages = (
            "+".join(word for word in stage.split("+") if word not in words) for stage in variant.stages
        )
        return replace(variant, stages=tuple(stages))

    return change


def without_layer(layer: str) -> Change:
    """The layer is left out; where it is pooled, the one before it is followed by what followed it."""

    def change(variant: Variant, data: DataConfig) -> Variant:
        place, stages = variant.places.index(layer), list(variant.stages)
        if "pool" in stages[place].split("+"):
            stages[place - 1] = stages[place]
        return replace(variant, without=(*variant.without, layer), stages=tuple(stages))

    return change


def with_widths(variant: Variant, widths: Sequence[int], towers: int) -> Variant:
    """Other numbers of maps and units, with first weights whose sums over a unit's inputs are as large."""
    changed = replace(variant, widths=tuple(widths), towers=towers)
    read = zip(_inputs(variant), _inputs(changed), strict=True)
    factors = [math.sqrt(before / after) for before, after in read]
    deviations = (
        round(deviation * factor, 6) for deviation, factor in zip(variant.deviations, factors, strict=True)
    )
    return replace(changed, deviations=tuple(deviations))


def for_small_photos(variant: Variant, data: DataConfig) -> Variant:
    """Smaller windows in conv1, each pixel apart, with first weights whose sums over them are as large."""
    inputs = [3 * variant.conv1_size**2, data.channels * SMALL_WINDOW**2]
    deviation = round(variant.deviations[0] * math.sqrt(inputs[0] / inputs[1]), 6)
    changes = {"conv1_size": SMALL_WINDOW, "conv1_stride": 1}
    return replace(variant, **changes, deviations=(deviation, *variant.deviations[1:]))


def multiply_adds(variant: Variant, data: DataConfig) -> int:
    """Multiplications with a weight for one crop of the images and ten classes."""
    with torch.device("meta"):
        net = AlexNet(variant, 10, data.crop, channels=data.channels)
        return summarise_model(net, data.crop, data.channels).multiply_adds


def _inputs(variant: Variant) -> list[float]:
    """Maps or units that one unit of each layer reads."""
    before = (3, *variant.widths)
    own = [layer.startswith("conv") and layer not in READS_BOTH_TOWERS for layer in variant.places]
    return [width / (variant.towers if of_own else 1) for width, of_own in zip(before, own, strict=True)]


def _even(number: float) -> int:
    return max(2, 2 * round(number / 2))
