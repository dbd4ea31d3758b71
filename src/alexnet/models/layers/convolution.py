"""The first convolution of the 2012 source: asymmetric zero padding, at the right and lower border only."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def asymmetric_padding(side: int, size: int, stride: int) -> int:
    """Number of zeros after the last pixel of a row: 3 for the paper's 224, 11 and 4; none for 227."""
    return -(side - size) % stride


class AsymmetricPadConv2d(nn.Conv2d):
    """A convolution with 1 + ceil((side - size) / stride) windows per row, starting at the upper left corner.

    Pixels to the right of the image and below it count as zero. For the gradient, the image itself is kept
    and the larger, padded copy is computed again.
    Source: 2012 source release, layer.py (sizes round up); the kernel skips pixels outside.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, out_channels, H', W')."""
        padded = self._padded(input)
        if torch.compiler.is_compiling() or padded is input:
            return super().forward(padded)
        address, version = padded.data_ptr(), input._version

        def keep(tensor: torch.Tensor) -> torch.Tensor | None:
            return None if tensor.data_ptr() == address else tensor

        def restore(kept: torch.Tensor | None) -> torch.Tensor:
            if kept is None and input._version != version:
                raise RuntimeError("the images were changed before the gradient was computed")
            return self._padded(input) if kept is None else kept

        with torch.autograd.graph.saved_tensors_hooks(keep, restore):
            return super().forward(padded)

    def _padded(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        (rows, columns), (down, right) = self.kernel_size, self.stride
        below, beside = asymmetric_padding(height, rows, down), asymmetric_padding(width, columns, right)
        return functional.pad(images, (0, beside, 0, below)) if below or beside else images
