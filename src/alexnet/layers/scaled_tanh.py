"""The squashing function of the LeNets."""

from __future__ import annotations

import torch
from torch import nn

AMPLITUDE, SLOPE = 1.7159, 2 / 3
"""Source: LeCun et al. 1998, section II.B and appendix A. With them f(1) = 1 and f(-1) = -1."""


class ScaledTanh(nn.Module):
    """1.7159 tanh(2/3 a), of any shape."""

    def forward(self, sums: torch.Tensor) -> torch.Tensor:
        """A new tensor of the same shape."""
        return AMPLITUDE * torch.tanh(SLOPE * sums)
