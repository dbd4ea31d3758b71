"""Local response normalisation, across maps and within a map (paper, section 3.3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Convention = Literal["mean", "sum"]


class LocalResponseNorm(nn.Module):
    """Divides each response by a power of the sum of squares of its neighbours among the maps.

    `alpha_convention`: "mean" divides alpha by the window's size, as the 2012 source and torch do; "sum" is
    the paper's formula to the letter. With `groups` towers no window crosses from one tower to another.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        alpha_convention: Convention = "mean",
        groups: int = 1,
    ):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.alpha_convention, self.groups = alpha_convention, groups

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, type and memory layout."""
        alpha = self.alpha / self.size if self.alpha_convention == "mean" else self.alpha
        values = maps.float()
        squares = (values * values).unflatten(1, (self.groups, -1))
        before, after = self.size // 2, self.size - 1 - self.size // 2
        windows = functional.pad(squares, (0, 0, 0, 0, before, after)).unfold(2, self.size, 1)
        sums = windows.sum(-1).flatten(1, 2)
        return (values * (self.k + alpha * sums).pow(-self.beta)).to(maps.dtype)


class SpatialResponseNorm(nn.Module):
    """Divides each response by a power of the sum of squares of its neighbours in its own map."""

    def __init__(self, size: int = 5, alpha: float = 1e-3, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, type and memory layout."""
        values = maps.float()
        mean = functional.avg_pool2d(values * values, self.size, 1, self.size // 2)
        return (values * (self.k + self.alpha * mean).pow(-self.beta)).to(maps.dtype)
