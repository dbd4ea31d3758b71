"""Trainable sub-sampling, from before max pooling."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from alexnet.layers.initialise import uniform_by_fan_in

SIDE = 2


class Subsampling(nn.Module):
    """The four values of each 2 x 2 window added, times the map's coefficient, plus its bias.

    Windows do not overlap. `weight` and `bias` are (maps,). Source: LeCun et al. 1998, section II.B.
    """

    inputs_per_weight = SIDE**2
    """Connections of a unit that share its one coefficient."""

    def __init__(self, maps: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))
        self.initialise()

    def initialise(self) -> None:
        """Coefficients and biases anew, uniform within 2.4 / 4."""
        for parameter in (self.weight, self.bias):
            uniform_by_fan_in(parameter, self.inputs_per_weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, maps, H, W) -> (N, maps, H / 2, W / 2)."""
        # A convolution of each map by itself, whose four weights are one: faster than pooling and scaling.
        kernels = self.weight[:, None, None, None].expand(-1, 1, SIDE, SIDE)
        return functional.conv2d(maps, kernels, self.bias, stride=SIDE, groups=len(self.weight))
