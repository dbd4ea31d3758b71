"""Views cut one by one, by plain slicing."""

from __future__ import annotations

import torch
from torch import Tensor


def cut(images: Tensor, crop: int, positions: list[list[tuple[int, int, int]]]) -> Tensor:
    """(N, V, crop, crop, C); `positions` holds a list for each image."""
    rows: list[Tensor] = []
    for image, places in zip(images, positions, strict=True):
        squares: list[Tensor] = []
        for y, x, mirrored in places:
            square = image[y : y + crop, x : x + crop]
            squares.append(square.flip(1) if mirrored else square)
        rows.append(torch.stack(squares))
    return torch.stack(rows)
