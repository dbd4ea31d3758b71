"""Initialization of convolutions and fully connected layers."""

from __future__ import annotations

import torch
from torch import nn

Weighted = nn.Conv2d | nn.Linear


def gaussian(layer: Weighted, deviation: float, bias: float) -> None:
    """Normal weights of mean 0, constant biases. Source: paper, section 5."""
    nn.init.normal_(layer.weight, std=deviation)
    _constant_bias(layer, bias)


def kaiming(layer: Weighted, bias: float = 0.0) -> None:
    """Normal weights with standard deviation sqrt(2 / fan-in), which preserves the variance after a ReLU.

    Source: He et al. 2015, equation 10.
    """
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    _constant_bias(layer, bias)


def glorot(layer: Weighted, bias: float = 0.0) -> None:
    """Uniform weights within sqrt(6 / (fan-in + fan-out)).

    Source: Glorot and Bengio 2010, equation 16.
    """
    nn.init.xavier_uniform_(layer.weight)
    _constant_bias(layer, bias)


def torch_default(layer: Weighted) -> None:
    """torch's own initialization: uniform weights and biases within 1 / sqrt(fan-in)."""
    layer.reset_parameters()


def uniform_by_fan_in(parameter: nn.Parameter, inputs: int | torch.Tensor) -> None:
    """Uniform within 2.4 / fan-in: `inputs` of the unit that a weight belongs to; a tensor is broadcast.

    Source: LeCun et al. 1989, section 4; LeCun et al. 1998, appendix A.
    """
    with torch.no_grad():
        parameter.uniform_(-2.4, 2.4).div_(inputs)


def _constant_bias(layer: Weighted, bias: float) -> None:
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)
