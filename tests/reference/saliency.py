"""Slow, obvious reference implementations of the saliency maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


def grad_cam(model: nn.Module, view: Tensor, label: int, layer: str, step: float = 1e-4) -> np.ndarray:
    """(H, W) of one view (1, C, crop, crop): gradients by moving one unit of the layer after the other.

    Not scaled, and as coarse as the layer's maps. The model should be in float64.
    """
    moved: list[Tensor] = [torch.zeros(())]
    handle = model.get_submodule(layer).register_forward_hook(lambda module, given, maps: maps + moved[0])
    with torch.no_grad():
        maps = model.activations(view)[layer][0]

        def logit(change: Tensor) -> float:
            moved[0] = change
            return float(model(view)[0, label])

        heat = torch.zeros(maps.shape[1:], dtype=maps.dtype)
        for number, plane in enumerate(maps):
            total = 0.0
            for place in range(plane.numel()):
                change = torch.zeros(1, *maps.shape, dtype=maps.dtype)
                change[0, number].view(-1)[place] = step
                total += (logit(change) - logit(-change)) / (2 * step)
            moved[0] = torch.zeros(())
            heat += total / plane.numel() * plane
    handle.remove()
    return heat.clamp(min=0).numpy()


def occlusion(
    probability: Callable[[np.ndarray], float], view: np.ndarray, size: int, step: int
) -> np.ndarray:
    """(rows, columns) the drop of `probability` for one crop (C, H, W) with a square at each position."""
    height, width = view.shape[1:]
    ys, xs = ([*range(0, length - size, step), length - size] for length in (height, width))
    drops = np.zeros((len(ys), len(xs)))
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            covered = view.copy()
            for channel in range(len(view)):
                covered[channel, y : y + size, x : x + size] = view[channel].mean()
            drops[row, column] = probability(view) - probability(covered)
    return drops
