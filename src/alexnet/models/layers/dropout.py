"""Dropout as in 2012: units are silenced in training, and every unit is scaled down in the test."""

from __future__ import annotations

import torch
from torch import nn


class MaskDropout(nn.Module):
    """Multiplies by a mask of zeros and ones in training, by `1 - probability` in the test.

    `torch.nn.Dropout`, the inverted form, divides by `1 - probability` in training instead and does nothing
    in the test: the same net after rescaling, but what the next layer sees in training, and with it the
    meaning of its initialization, rate and decay, differs by that factor.
    Source: paper, section 4.2; 2012 source release, layer.cu.
    """

    def __init__(self, probability: float = 0.5):
        super().__init__()
        self.probability = probability

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """`activations` of any shape, masked or scaled."""
        kept = 1.0 - self.probability
        if not self.training:
            return activations * kept
        return activations * torch.empty_like(activations).bernoulli_(kept)

    def extra_repr(self) -> str:
        """The probability, for `print(net)`."""
        return f"probability={self.probability}"
