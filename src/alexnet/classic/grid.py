"""Places of patches: centres on whole pixels, every `step` pixels, where the patch lies inside the photo."""

from __future__ import annotations

import torch
from torch import Tensor


def places(side: int, patch: int, step: int) -> Tensor:
    """(n,) pixels along `side` at which patches are centred; empty where none fits.

    The patch reaches `patch` / 2 pixels to both sides of the pixel. What is left over at the ends is halved.
    """
    room = side - 1 - patch
    if room < 0:
        return torch.zeros(0, dtype=torch.int64)
    return patch // 2 + room % step // 2 + step * torch.arange(room // step + 1)


def centres(side: int, patches: tuple[int, ...], step: int) -> Tensor:
    """(P, 2) centres (x, y) in [0, 1] of all patches of a square photo: size by size, then row by row."""
    grids = [torch.zeros(0, 2)]
    for patch in patches:
        along = (places(side, patch, step) + 0.5) / side
        y, x = torch.meshgrid(along, along, indexing="ij")
        grids.append(torch.stack([x, y], 2).flatten(0, 1))
    return torch.cat(grids)
