"""The spatial pyramid: which descriptors lie in which part of the photo.

Source: Lazebnik, Schmid, Ponce, CVPR 2006; 1x1 and 3x1 as Sanchez and Perronnin, CVPR 2011, use them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def count(pyramid: Sequence[str]) -> int:
    """How many cells the levels have together; a level is `rows x columns`, as "3x1"."""
    return sum(rows * columns for rows, columns in map(_size, pyramid))


def cells(pyramid: Sequence[str], centres: Tensor) -> Tensor:
    """(C, P; bool) whether each of the `centres` (P, 2; x, y in [0, 1]) lies in each cell.

    Cells come level by level, row by row. Those of a level share all centres out among them.
    """
    members: list[Tensor] = []
    for rows, columns in map(_size, pyramid):
        row = (centres[:, 1] * rows).long().clamp(0, rows - 1)
        column = (centres[:, 0] * columns).long().clamp(0, columns - 1)
        number = torch.arange(rows * columns, device=centres.device)
        members.append(row * columns + column == number[:, None])
    return torch.cat(members)


def _size(level: str) -> tuple[int, int]:
    rows, columns = map(int, level.split("x"))
    return rows, columns
