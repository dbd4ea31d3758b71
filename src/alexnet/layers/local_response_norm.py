"""Local response normalisation, across maps and within a map, with its exact gradient.

One formula, three implementations that a test compares with each other and with a slow twin: C++ (CPU),
Triton (CUDA) and plain torch in cache-sized pieces (everywhere else). All compute in float32 at least, also
under autocast, and keep nothing for the gradient but the input.
Source: paper, section 3.3; the window within a map is the 2012 source's second normaliser of layer 2.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alexnet.layers import response_norm_chunked, response_norm_cuda, stage_compiled
from alexnet.layers.stage_compiled import Plan
from alexnet.layers.window import Window


def response_norm(maps: torch.Tensor, window: Window) -> torch.Tensor:
    """`maps` (N, C, H, W) divided by (k + alpha * sum of squares over the window) ** beta.

    Shape, type and memory layout stay; channels-last is the fast one. float16 and bfloat16 are computed in
    float32, so squares of values above 255 do not overflow.
    """
    if torch.compiler.is_compiling():
        return _closed_form(maps, window)
    result = _ResponseNorm.apply(maps.contiguous(memory_format=torch.channels_last), window)
    return result.contiguous() if maps.is_contiguous() else result


class _ResponseNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, window: Window) -> torch.Tensor:
        ctx.save_for_backward(maps)
        ctx.window = window
        plan = _plan(window)
        if stage_compiled.supports(maps, plan):
            return stage_compiled.forward(maps, plan)[0]
        if response_norm_cuda.supports(maps):
            return response_norm_cuda.forward(maps, window)
        return response_norm_chunked.forward(maps, window)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        (maps,), plan = ctx.saved_tensors, _plan(ctx.window)
        gradient = gradient.to(maps.dtype).contiguous(memory_format=torch.channels_last)
        if stage_compiled.supports(maps, plan):
            return stage_compiled.backward(maps, gradient, plan, None), None
        if response_norm_cuda.supports(maps):
            return response_norm_cuda.backward(maps, gradient, ctx.window), None
        return response_norm_chunked.backward(maps, gradient, ctx.window), None


def _plan(window: Window) -> Plan:
    return Plan(within=window) if window.within_map else Plan(across=window)


def _closed_form(maps: torch.Tensor, window: Window) -> torch.Tensor:
    """The formula in operations that compilers and exporters can follow."""
    values = maps.float() if maps.dtype != torch.float64 else maps
    squares = values * values
    if window.within_map:
        # Not by `divisor_override`, which torch's exporter to ONNX passes over.
        sums = window.size**2 * functional.avg_pool2d(squares, window.size, 1, window.size // 2)
    else:
        grouped = squares.unflatten(1, (window.groups, -1))
        margins = (0, 0, 0, 0, window.before, window.after)
        padded, width = functional.pad(grouped, margins), grouped.shape[2]
        parts = [padded[:, :, offset : offset + width] for offset in range(window.size)]
        sums = torch.stack(parts).sum(0).flatten(1, 2)
    return (values * (window.k + window.alpha * sums) ** -window.beta).to(maps.dtype)


class LocalResponseNorm(nn.Module):
    """Divides each response by a power of the sum of squares of its neighbours among the maps.

    The window of map i runs from i - floor(size / 2) over `size` maps and is cut off at the borders; with
    `groups` towers also at the border between towers. `alpha_convention`: "mean" divides alpha by `size`, as
    the 2012 source and torch do; "sum" is the paper's formula to the letter.
    Source: paper, section 3.3.
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        alpha_convention: Literal["mean", "sum"] = "mean",
        groups: int = 1,
    ):
        super().__init__()
        divisor = size if alpha_convention == "mean" else 1
        self.window = Window(size, alpha / divisor, beta, k, groups)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, type and memory layout."""
        return response_norm(maps, self.window)

    def extra_repr(self) -> str:
        """The constants, for `print(net)`."""
        return repr(self.window)


class SpatialResponseNorm(nn.Module):
    """Divides each response by a power of the sum of squares of its neighbours in its own map.

    A square of `size` x `size` pixels (odd), cut off at the borders; alpha is divided by its whole area there
    too.
    Source: 2012 source release, layer `cnorm2` of net 145; the paper does not mention it.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-3, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.window = Window(size, alpha / size**2, beta, k, within_map=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, type and memory layout."""
        return response_norm(maps, self.window)

    def extra_repr(self) -> str:
        """The constants, for `print(net)`."""
        return repr(self.window)
