"""Dropout as in 2012: units are zeroed in training, and all units are scaled down in evaluation."""

from __future__ import annotations

import torch
from torch import nn


class MaskDropout(nn.Module):
    """Multiplies by a mask of zeros and ones in training, by `1 - probability` in evaluation.

    `probability`, in [0, 1), is that of a zero, drawn for each number from torch's generator of the device.
    `torch.nn.Dropout`, the inverted form, divides by `1 - probability` in training instead and does nothing
    in evaluation. The model is the same up to scale, but the inputs of the next layer in training, and so the
    meaning of its initialization, learning rate and weight decay, differ by that factor.
    Source: paper, section 4.2; 2012 source release, layer.cu.
    """

    def __init__(self, probability: float = 0.5):
        super().__init__()
        self.probability = probability

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """A new tensor of the same shape and type, masked or scaled."""
        kept = 1.0 - self.probability
        if not self.training:
            return activations * kept
        return activations * torch.empty_like(activations).bernoulli_(kept)

    def extra_repr(self) -> str:
        """The probability, for `print(model)`."""
        return f"probability={self.probability}"
