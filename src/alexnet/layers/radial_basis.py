"""Output units that measure how far the layer below is from the code of each class."""

from __future__ import annotations

import torch
from torch import nn


class RadialBasis(nn.Module):
    """Minus the squared Euclidean distance to each of the fixed `codes` (K, width).

    The distance is the paper's penalty of a class; minus it is a logit: of a Gaussian around each code.
    Source: LeCun et al. 1998, section II.B, equation 7.
    """

    def __init__(self, codes: torch.Tensor):
        super().__init__()
        self.weight: torch.Tensor
        self.register_buffer("weight", codes)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(N, width) -> (N, K), none above 0."""
        return -(states[:, None] - self.weight).square().sum(dim=2)
