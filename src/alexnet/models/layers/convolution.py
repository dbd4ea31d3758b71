"""The first convolution of the 2012 source: asymmetric zero padding, at the right and lower border only."""

from __future__ import annotations

import torch
from torch import fx, nn
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
        if torch.compiler.is_compiling() or isinstance(input, fx.Proxy) or padded is input:
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
        return padded_at_the_end(images, self.kernel_size, self.stride)


@fx.wrap
def padded_at_the_end(images: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """`images` (N, C, H, W) with `asymmetric_padding`; the same tensor if they need none.

    One node in a graph of torch.fx, since the padding depends on the size of the images.
    """
    below, beside = map(asymmetric_padding, images.shape[2:], kernel, stride)
    return functional.pad(images, (0, beside, 0, below)) if below or beside else images
