"""Response normalisation on CUDA: Triton kernels, each reading its neighbours through the cache.

The maps lie channels-last, so the neighbours of a value among the maps are its neighbours in memory, and
those within a map are whole pixels away. Where Triton is missing, `supports` says so.
"""

from __future__ import annotations

import torch

from alexnet.layers.window import Window


def supports(maps: torch.Tensor) -> bool:
    """Whether these kernels can normalise `maps`."""
    return False
