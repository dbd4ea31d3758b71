"""Offset pooling as the paper describes it: for each position, a window is cut out of the maps, pooled and
classified."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def at_every_offset(
    forward: Callable[[Tensor], Tensor], maps: Tensor, size: int, side: int, places: tuple[int, int]
) -> Tensor:
    """`forward` to the `side` x `side` pooled maps whose first value is at each place, one at a time."""
    return torch.stack(
        [
            torch.stack([forward(_pooled(maps, y, x, size, side))[:, :, 0, 0] for x in range(places[1])], 2)
            for y in range(places[0])
        ],
        dim=2,
    )


def _pooled(maps: Tensor, top: int, left: int, size: int, side: int) -> Tensor:
    rows = []
    for row in range(side):
        values = []
        for column in range(side):
            y, x = top + row * size, left + column * size
            values.append(maps[:, :, y : y + size, x : x + size].amax(dim=(2, 3)))
        rows.append(torch.stack(values, dim=2))
    return torch.stack(rows, dim=2)
