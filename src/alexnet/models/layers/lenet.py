"""Layers of the LeNets: scaled tanh, trainable subsampling, partly connected convolution, RBF output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from alexnet.models.layers.init import uniform_by_fan_in

AMPLITUDE, SLOPE = 1.7159, 2 / 3
"""Constants of the scaled tanh. Source: LeCun et al. 1998, section II.B and appendix A."""
SIDE = 2
"""Pixels on a side of a subsampling window."""
ConnectionTable = Sequence[Sequence[int]]
"""Which input maps (from 0) each output map reads, one row per output map."""


class ScaledTanh(nn.Module):
    """1.7159 tanh(2/3 a): f(1) = 1 and f(-1) = -1. Source: LeCun et al. 1998, section II.B, appendix A."""

    def forward(self, sums: torch.Tensor) -> torch.Tensor:
        """A new tensor of the same shape."""
        return AMPLITUDE * torch.tanh(SLOPE * sums)


class Subsampling(nn.Module):
    """Trainable subsampling: the sum of each 2 x 2 window, times the map's coefficient, plus its bias.

    Windows do not overlap. `weight` and `bias` are (maps,). Source: LeCun et al. 1998, section II.B.
    """

    inputs_per_weight = SIDE**2
    """Connections of a unit that share its coefficient."""

    def __init__(self, maps: int):
        super().__init__()
        self.maps = maps
        self.weight = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))
        self.initialize()

    def initialize(self) -> None:
        """Resets coefficients and biases: uniform within 2.4 / 4."""
        for parameter in (self.weight, self.bias):
            uniform_by_fan_in(parameter, self.inputs_per_weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, maps, H, W) -> (N, maps, H / 2, W / 2)."""
        # A depthwise convolution whose four weights are equal: faster than pooling and scaling.
        kernels = self.weight[:, None, None, None].expand(-1, 1, SIDE, SIDE)
        return functional.conv2d(maps, kernels, self.bias, stride=SIDE, groups=self.maps)


class PartialConv2d(nn.Module):
    """A convolution without padding in which each output map reads only the input maps of its table row.

    `weight` is (pairs in the table, size, size), one output map after the other. `bias` is (outputs,), or, if
    `unit_biases` is the side of an output map, (outputs, side, side): one bias per unit.
    Source: LeCun et al. 1989 (H1, H2); LeCun et al. 1998, section II.B, table I (C3).
    """

    def __init__(self, inputs: int, table: ConnectionTable, size: int, stride: int = 1, unit_biases: int = 0):
        super().__init__()
        self.inputs, self.table, self.size, self.stride = inputs, table, size, stride
        self.has_unit_biases = unit_biases > 0
        pairs = [row * inputs + column for row, columns in enumerate(table) for column in columns]
        self.places: torch.Tensor
        self.register_buffer("places", torch.tensor(pairs))
        self.weight = nn.Parameter(torch.empty(len(pairs), size, size))
        shape = (len(table), unit_biases, unit_biases) if unit_biases else (len(table),)
        self.bias = nn.Parameter(torch.empty(shape))
        self.initialize()

    def initialize(self) -> None:
        """Resets weights and biases: uniform within 2.4 / fan-in of the unit."""
        inputs = [len(columns) * self.size**2 for columns in self.table]
        each = [fan_in for fan_in, columns in zip(inputs, self.table, strict=True) for _ in columns]
        for parameter, fan_ins in ((self.weight, each), (self.bias, inputs)):
            uniform_by_fan_in(parameter, parameter.new_tensor(fan_ins).view(-1, *(parameter.ndim - 1) * (1,)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W')."""
        if self.has_unit_biases:
            return functional.conv2d(maps, self.kernels(), None, self.stride) + self.bias
        return functional.conv2d(maps, self.kernels(), self.bias, self.stride)

    def kernels(self) -> torch.Tensor:
        """(outputs, inputs, size, size) with zeros for pairs that are not in the table."""
        outputs = len(self.table)
        empty = self.weight.new_zeros(outputs * self.inputs, self.size, self.size)
        return empty.index_copy(0, self.places, self.weight).view(outputs, self.inputs, self.size, self.size)

    def extra_repr(self) -> str:
        """The shape, for `print(model)`."""
        pairs, every_pair = len(self.weight), self.inputs * len(self.table)
        return (
            f"{self.inputs}, {len(self.table)}, size={self.size}, stride={self.stride}, {pairs}/{every_pair}"
        )


def every(inputs: int, outputs: int) -> ConnectionTable:
    """The table of an ordinary convolution: each of `outputs` maps reads all `inputs` maps."""
    return outputs * (range(inputs),)


class RadialBasis(nn.Module):
    """Minus the squared Euclidean distance to each of the fixed `codes` (K, width).

    The distance is the paper's penalty of a class. Minus the distance is the logit of a Gaussian at the code.
    Source: LeCun et al. 1998, section II.B, equation 7.
    """

    def __init__(self, codes: torch.Tensor):
        super().__init__()
        self.weight: torch.Tensor
        self.register_buffer("weight", codes)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(N, width) -> (N, K), at most 0."""
        return -(states[:, None] - self.weight).square().sum(dim=2)
