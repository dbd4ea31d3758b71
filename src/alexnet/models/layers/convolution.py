"""The 2012 source's convolution of the image: its last windows hang over the border and see zeros there."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def overhang(side: int, size: int, stride: int) -> int:
    """Pixels by which the last window of a row hangs over: 3 for the paper's 224, 11 and 4; none for 227."""
    return -(side - size) % stride


class AsymmetricPadConv2d(nn.Conv2d):
    """A convolution with 1 + ceil((side - size) / stride) windows a row, from the left upper corner on.

    What lies right of and below the image counts as zero. For its gradient it keeps the image itself, not
    the larger copy with zeros, which is made anew.
    Source: 2012 source release, layer.py (sizes round up); the kernel skips pixels outside.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, out_channels, H', W')."""
        extended = self._extended(input)
        if torch.compiler.is_compiling() or extended is input:
            return super().forward(extended)
        address, version = extended.data_ptr(), input._version

        def keep(tensor: torch.Tensor) -> torch.Tensor | None:
            return None if tensor.data_ptr() == address else tensor

        def give_back(kept: torch.Tensor | None) -> torch.Tensor:
            if kept is None and input._version != version:
                raise RuntimeError("the images were changed before the gradient was computed")
            return self._extended(input) if kept is None else kept

        with torch.autograd.graph.saved_tensors_hooks(keep, give_back):
            return super().forward(extended)

    def _extended(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        (rows, columns), (down, right) = self.kernel_size, self.stride
        below, beside = overhang(height, rows, down), overhang(width, columns, right)
        return functional.pad(images, (0, beside, 0, below)) if below or beside else images


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
