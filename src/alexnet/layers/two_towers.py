"""The two towers, one per GPU in 2012: here one tensor, half of whose maps belong to each."""

from __future__ import annotations

from torch import nn


def own_tower(
    inputs: int, outputs: int, size: int, padding: int = 0, towers: int = 2, bias: bool = True
) -> nn.Conv2d:
    """A convolution in which each tower reads its own maps only (conv2, conv4, conv5).

    `inputs` and `outputs` count the maps of all towers; `towers=1` is an ordinary convolution.
    Source: paper, section 3.5.
    """
    return nn.Conv2d(inputs, outputs, size, padding=padding, groups=towers, bias=bias)


def both_towers(
    inputs: int, outputs: int, size: int, padding: int = 0, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution in which each tower reads the maps of all towers (conv3, and conv1 of the image).

    Source: paper, section 3.5.
    """
    return nn.Conv2d(inputs, outputs, size, padding=padding, stride=stride, bias=bias)
