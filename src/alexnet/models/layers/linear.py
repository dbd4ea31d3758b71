"""Fully connected layers that are faster on some processors and can be applied as a convolution to larger
maps."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, cast

import torch
from torch import fx, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, linear

from alexnet.errors import CommandError

_IMAGES = 16
"""Number of images into which the rows are divided: oneDNN runs images in parallel."""
_FEWEST_ROWS = 16
"""With fewer rows the product is bound by memory, and MKL is as fast."""


class FullyConnected(nn.Linear):
    """`torch.nn.Linear` with the same parameters and, up to rounding, the same result.

    It is faster on AVX-512 processors not made by Intel. There MKL, which torch uses for matrix products,
    uses at most half of the vector width, while oneDNN, which torch uses for convolutions, uses all of it. So
    the product is computed as a 1 x 1 convolution: the rows of the large matrix are the pixels of
    channels-last images, without a copy, the rows of the small matrix the filters. Elsewhere it is
    `torch.nn.Linear`.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, in_features) -> (N, out_features)."""
        return product(input, self.weight, self.bias)


@fx.wrap
def product(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """`torch.nn.functional.linear`, by the faster of two ways; one node in a graph of torch.fx."""
    if not _convolves(input, weight):
        return linear(input, weight, bias)
    return cast(torch.Tensor, _Product.apply(input, weight, bias))


def _convolves(inputs: torch.Tensor, weight: torch.Tensor) -> bool:
    if torch.compiler.is_compiling():  # before the number of rows is read, which would become a constant
        return False
    exact = inputs.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    large = inputs.ndim == 2 and len(inputs) >= _FEWEST_ROWS and len(weight) % _IMAGES == 0
    return inputs.device.type == "cpu" and exact and large and convolution_is_faster()


def slide(layer: nn.Linear, maps: torch.Tensor, side: int) -> torch.Tensor:
    """(N, out_features, H - side + 1, W - side + 1): `layer` applied to each `side` x `side` part.

    `maps` are (N, C, H, W); the layer has C x side x side inputs, in the order of `torch.nn.Flatten`. Its
    weights become the filters of one convolution, so that work on overlapping parts is shared. At
    H = W = side this is the layer itself, up to rounding. CommandError if the maps are smaller than that,
    or have other channels.
    Source: Sermanet et al. 2013, section 3.5; Simonyan and Zisserman 2014, section 3.2.
    """
    channels, height, width = maps.shape[1:]
    if min(height, width) < side:
        raise CommandError(
            f"maps of {height} x {width} are smaller than the {side} x {side} that a layer reads"
        )
    if channels * side**2 != layer.in_features:
        raise CommandError(
            f"maps of {channels} channels: a layer of {layer.in_features} inputs reads "
            f"{layer.in_features / side**2:g} at {side} x {side}"
        )
    return conv2d(maps, layer.weight.view(layer.out_features, channels, side, side), layer.bias)


@functools.cache
def convolution_is_faster() -> bool:
    """Whether this is an AVX-512 processor of another maker than Intel."""
    if not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    try:
        return "GenuineIntel" not in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        outputs = _rows(torch.conv2d(_pixels(weight), _filters(inputs)))
        outputs = outputs.t().contiguous()
        return outputs if bias is None else outputs.add_(bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        to_inputs, to_weight, to_bias = ctx.needs_input_grad
        by_unit = gradient.t().contiguous()
        return (
            _input_gradient(by_unit, weight, inputs) if to_inputs else None,
            _rows(torch.conv2d(_pixels(by_unit), _filters(inputs.t().contiguous()))) if to_weight else None,
            gradient.sum(0) if to_bias else None,
        )


def _input_gradient(by_unit: torch.Tensor, weight: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """by_unit (O, N) transposed times weight (O, I), as the gradient of a convolution's filters."""
    wanted = [False, True, False]
    arguments = (_pixels(by_unit), _pixels(weight), _filters(inputs), None)
    # Stride, padding, dilation, transposed, its padding, groups.
    geometry = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    return torch.ops.aten.convolution_backward(*arguments, *geometry, wanted)[1].reshape(inputs.shape)


def _pixels(matrix: torch.Tensor) -> torch.Tensor:
    """(rows, columns) as channels-last images whose pixels are the rows; a view."""
    return matrix.view(_IMAGES, len(matrix) // _IMAGES, 1, -1).permute(0, 3, 1, 2)


def _rows(images: torch.Tensor) -> torch.Tensor:
    """The inverse of `_pixels`; a view of channels-last images."""
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])


def _filters(matrix: torch.Tensor) -> torch.Tensor:
    """(rows, columns) as 1 x 1 filters, one per row; a view."""
    return matrix[:, :, None, None]
