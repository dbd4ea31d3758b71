"""Response normalization: the layers of the paper, and the choice of their implementation.

There are three: a C++ kernel on a CPU (`fused_kernel`), Triton kernels on a GPU
(`local_response_norm_triton`), and `closed_form` in plain torch, for compilers and exporters, and if neither
of the others can be used. Forward and backward on one core, at the size of conv1, the C++ kernel is 10 times
as fast as `closed_form` and 25 times as fast as `torch.nn.LocalResponseNorm` (`python -m benchmarks layers`).
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Literal

import torch
from torch import fx, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alexnet.models.layers import fused_kernel
from alexnet.models.layers.fused_kernel import FusedSteps, LrnParams


class LocalResponseNorm(nn.Module):
    """Local response normalization across neighboring maps at the same pixel.

    The window of map i begins at i - floor(size / 2) and is cut off at the borders; with `groups` towers also
    at the border between towers. `alpha_convention`: "mean", as in the 2012 source and torch, has a window of
    `size` maps and divides alpha by `size`; "sum" is the paper's formula, whose window ends at
    i + floor(size / 2), so that it has one map more if `size` is even. `size` and `groups` are at least 1,
    and the number of maps is a multiple of `groups`; `alpha` is at least 0 and `k` above 0.
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
        if alpha_convention == "mean":
            self.params = LrnParams(size, alpha / size, beta, k, groups)
        else:
            self.params = LrnParams(2 * (size // 2) + 1, alpha, beta, k, groups)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, type and memory layout."""
        return response_norm(maps, self.params)

    def extra_repr(self) -> str:
        """The constants, for `print(model)`."""
        return repr(self.params)


class SpatialResponseNorm(nn.Module):
    """Response normalization within each map, over a window of `size` x `size` pixels.

    `size` is odd, `alpha` at least 0 and `k` above 0. The window is cut off at the borders; there, too, alpha
    is divided by the whole area.
    Source: 2012 source release, layer `cnorm2` of net 145; the paper does not mention it.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-3, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.params = LrnParams(size, alpha / size**2, beta, k, within_map=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape, type and memory layout."""
        return response_norm(maps, self.params)

    def extra_repr(self) -> str:
        """The constants, for `print(model)`."""
        return repr(self.params)


@fx.wrap
def response_norm(maps: torch.Tensor, params: LrnParams) -> torch.Tensor:
    """`maps` (N, C, H, W) divided by (k + alpha * sum of squares over the window) ** beta.

    Shape, type and memory layout are preserved; channels-last is fastest. float16 and bfloat16 are computed
    in float32, so squares of values above 255 do not overflow. It is one node in a graph of torch.fx.
    """
    if torch.compiler.is_compiling():
        return closed_form(maps, params)
    if not (fused_kernel.supports(maps, _steps(params)) or _runs_on_triton(maps)):
        result = closed_form(maps, params)
        return result.contiguous() if maps.is_contiguous() else _channels_last(result)
    result = _ResponseNorm.apply(_channels_last(maps), params)
    return result.contiguous() if maps.is_contiguous() else result


def closed_form(maps: torch.Tensor, params: LrnParams) -> torch.Tensor:
    """`response_norm` in plain torch operations, which autograd, compilers and exporters can follow.

    (N, C, H, W) -> the same shape and type, in any memory layout. C must be a multiple of `params.groups`.
    """
    values = maps.float() if maps.dtype != torch.float64 else maps
    squares = values * values
    if params.within_map:
        # Not with `divisor_override`, which torch's exporter to ONNX ignores.
        sums = params.size**2 * functional.avg_pool2d(squares, params.size, 1, params.size // 2)
    else:
        grouped = squares.unflatten(1, (params.groups, -1))
        margins = (0, 0, 0, 0, params.before, params.after)
        padded, width = functional.pad(grouped, margins), grouped.shape[2]
        parts = [padded[:, :, offset : offset + width] for offset in range(params.size)]
        sums = torch.stack(parts).sum(0).flatten(1, 2)
    return (values * (params.k + params.alpha * sums) ** -params.beta).to(maps.dtype)


class _ResponseNorm(torch.autograd.Function):
    """Response normalization by one of the kernels; for the gradient, it only keeps its input."""

    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, params: LrnParams) -> torch.Tensor:
        ctx.save_for_backward(maps)
        ctx.params = params
        if _runs_on_triton(maps):
            return _triton().forward(maps, params)
        return fused_kernel.fused_forward(maps, _steps(params))[0]

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        (maps,) = ctx.saved_tensors
        gradient = _channels_last(gradient.to(maps.dtype))
        if _runs_on_triton(maps):
            return _triton().backward(maps, gradient, ctx.params), None
        return fused_kernel.fused_backward(maps, gradient, _steps(ctx.params), None), None


def _steps(params: LrnParams) -> FusedSteps:
    return FusedSteps(spatial_lrn=params) if params.within_map else FusedSteps(lrn=params)


_TRITON_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def _runs_on_triton(maps: torch.Tensor) -> bool:
    fits = maps.device.type == "cuda" and maps.dtype in _TRITON_TYPES and 0 < maps.numel() < 2**31
    return fits and importlib.util.find_spec("triton") is not None


def _triton() -> Any:
    """The module with the kernels; importing it requires Triton."""
    return importlib.import_module("alexnet.models.layers.local_response_norm_triton")


def _channels_last(maps: torch.Tensor) -> torch.Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
