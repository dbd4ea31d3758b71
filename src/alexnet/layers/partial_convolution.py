"""A convolution in which each output map reads only some of the input maps: the other weights do not exist.

Source: LeCun et al. 1989, section 3.2; LeCun, Bottou, Bengio, Haffner 1998, section II.B, table I.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from alexnet.layers.initialise import uniform_by_fan_in

Table = Sequence[Sequence[int]]
"""For each output map the input maps that it reads, from 0."""


def every(inputs: int, outputs: int) -> Table:
    """The table of a usual convolution: each of `outputs` maps reads all `inputs` maps."""
    return outputs * (range(inputs),)


class PartialConv2d(nn.Module):
    """`torch.nn.Conv2d` without padding, less the weights that the table leaves out.

    `weight` is (pairs in the table, size, size), one output map after the other. `bias` is (outputs,), one a
    map; or, where `unit_biases` is the side of an output map, (outputs, side, side), one a unit.
    """

    def __init__(self, inputs: int, table: Table, size: int, stride: int = 1, unit_biases: int = 0):
        super().__init__()
        self.inputs, self.table, self.size, self.stride = inputs, table, size, stride
        pairs = [row * inputs + column for row, columns in enumerate(table) for column in columns]
        self.places: torch.Tensor
        self.register_buffer("places", torch.tensor(pairs))
        self.weight = nn.Parameter(torch.empty(len(pairs), size, size))
        shape = (len(table), unit_biases, unit_biases) if unit_biases else (len(table),)
        self.bias = nn.Parameter(torch.empty(shape))
        self.initialise()

    def initialise(self) -> None:
        """Weights and biases anew, each uniform within 2.4 / inputs of its unit."""
        inputs = [len(columns) * self.size**2 for columns in self.table]
        each = [fan_in for fan_in, columns in zip(inputs, self.table, strict=True) for _ in columns]
        for parameter, fan_ins in ((self.weight, each), (self.bias, inputs)):
            uniform_by_fan_in(parameter, parameter.new_tensor(fan_ins).view(-1, *(parameter.ndim - 1) * (1,)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W')."""
        one_bias_a_map = self.bias.ndim == 1
        found = functional.conv2d(maps, self.kernels(), self.bias if one_bias_a_map else None, self.stride)
        return found if one_bias_a_map else found + self.bias

    def kernels(self) -> torch.Tensor:
        """(outputs, inputs, size, size), with zeros for the weights that do not exist."""
        outputs = len(self.table)
        empty = self.weight.new_zeros(outputs * self.inputs, self.size, self.size)
        return empty.index_copy(0, self.places, self.weight).view(outputs, self.inputs, self.size, self.size)

    def extra_repr(self) -> str:
        """The shape, for `print(net)`."""
        pairs, every_pair = len(self.weight), self.inputs * len(self.table)
        return (
            f"{self.inputs}, {len(self.table)}, size={self.size}, stride={self.stride}, {pairs}/{every_pair}"
        )
