"""Response normalization with torch alone, on any device: pieces small enough to stay in the cache.

The plain formula writes and reads a dozen temporaries as large as the maps; here each is as large as a piece.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alexnet.models.layers import compiled
from alexnet.models.layers.compiled import Plan, Window

_PIECE_VALUES = {"cpu": 1 << 17, "cuda": 1 << 24}
"""On a GPU pieces only bound the memory: small ones would cost launches."""


def chunked_forward(maps: torch.Tensor, window: Window) -> torch.Tensor:
    """The normalized maps: (N, C, H, W) channels-last, in and out."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    for piece, out in _pieces(window, maps, result):
        values = _exact(piece)
        scale, _ = _scale(values, window)
        out.copy_(scale.mul_(values))
    return result


def chunked_backward(maps: torch.Tensor, gradient: torch.Tensor, window: Window) -> torch.Tensor:
    """The gradient with respect to `maps`, from that with respect to the normalized ones.

    With d = k + alpha * (sum of squares), and the second sum over all whose window holds a:
    g * d^-beta - 2 * alpha * beta * a * (sum of g * a * d^(-beta-1)).
    """
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    for piece, piece_gradient, out in _pieces(window, maps, gradient, result):
        values = _exact(piece)
        direct, inverse = _scale(values, window)
        direct.mul_(piece_gradient)
        shares = _sums(inverse.mul_(values).mul_(direct), window, mirrored=True)
        out.copy_(direct.addcmul_(shares, values, value=-2 * window.alpha * window.beta))
    return result


def _pieces(window: Window, *tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """The tensors cut alike: into whole images within maps, into rows (pixels, groups, maps) across them."""
    limit = _PIECE_VALUES.get(tensors[0].device.type, _PIECE_VALUES["cuda"])
    wholes = list(tensors)
    if not window.within_map:
        by_pixel = (tensor.contiguous(memory_format=torch.channels_last) for tensor in tensors)
        wholes = [
            whole.permute(0, 2, 3, 1).flatten(0, 2).unflatten(1, (window.groups, -1)) for whole in by_pixel
        ]
    count = max(1, limit // max(1, wholes[0][0].numel())) if len(wholes[0]) else 1
    return zip(*(whole.split(count) for whole in wholes), strict=True)


def _exact(values: torch.Tensor) -> torch.Tensor:
    """At least float32: squares of half-precision values overflow."""
    return values if values.dtype == torch.float64 else values.float()


def _scale(values: torch.Tensor, window: Window) -> tuple[torch.Tensor, torch.Tensor]:
    """(d^-beta, 1 / d) for d = k + alpha * (sum of squares)."""
    base = _sums(values * values, window).mul_(window.alpha).add_(window.k)
    if window.beta != 0.75:
        return base.pow(-window.beta), base.reciprocal_()
    root = base.rsqrt_()  # two roots are several times faster than a power
    return root.sqrt().mul_(root), root.mul_(root)


def _sums(values: torch.Tensor, window: Window, mirrored: bool = False) -> torch.Tensor:
    """The sums of `values` over each one's window; `mirrored` over all those whose window holds it."""
    if window.within_map:
        return functional.avg_pool2d(values, window.size, 1, window.size // 2, divisor_override=1)
    margins = (window.after, window.before) if mirrored else (window.before, window.after)
    padded, width = functional.pad(values, margins), values.shape[-1]
    sums = padded[..., :width].clone()
    for offset in range(1, window.size):
        sums += padded[..., offset : offset + width]
    return sums


_BLOCK = 1024
"""Values per program."""
_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def supports(maps: torch.Tensor) -> bool:
    """Whether these kernels can normalize `maps`."""
    fits = maps.device.type == "cuda" and maps.dtype in _TYPES and 0 < maps.numel() < 2**31
    return fits and importlib.util.find_spec("triton") is not None


def cuda_forward(maps: torch.Tensor, window: Window) -> torch.Tensor:
    """The normalized maps: (N, C, H, W) channels-last, in and out."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    kernels = _kernels()
    kernel = kernels.within_forward if window.within_map else kernels.across_forward
    _launch(kernel, window, maps, result)
    return result


def cuda_backward(maps: torch.Tensor, gradient: torch.Tensor, window: Window) -> torch.Tensor:
    """The gradient with respect to `maps`, from that with respect to the normalized ones."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    kernels = _kernels()
    if not window.within_map:
        _launch(kernels.across_backward, window, maps, gradient, result)
        return result
    # 25 neighbors, each with 25 of its own: the inner sums are stored once instead.
    shares = torch.empty_like(maps, dtype=torch.float32, memory_format=torch.channels_last)
    _launch(kernels.within_shares, window, maps, gradient, shares, result)
    _launch(kernels.within_backward, window, maps, shares, result)
    return result


@functools.cache
def _kernels() -> Any:
    """The module of kernels: importing it needs Triton."""
    return importlib.import_module("alexnet.models.layers.local_response_norm_triton")


def _launch(kernel: Any, window: Window, *tensors: torch.Tensor) -> None:
    _, channels, height, width = tensors[0].shape
    count = tensors[0].numel()
    if window.within_map:
        sizes, constants = (height, width, channels), {"REACH": window.size // 2}
    else:
        sizes, constants = (channels // window.groups,), {"BEFORE": window.before, "AFTER": window.after}
    with torch.cuda.device_of(tensors[0]):  # Triton takes the current device, whatever it is given
        kernel[(-(-count // _BLOCK),)](
            *tensors, count, *sizes, window.alpha, window.beta, window.k, BLOCK=_BLOCK, **constants
        )


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
        if compiled.supports(maps, plan):
            return compiled.forward(maps, plan)[0]
        if supports(maps):
            return cuda_forward(maps, window)
        return chunked_forward(maps, window)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        (maps,), plan = ctx.saved_tensors, _plan(ctx.window)
        gradient = gradient.to(maps.dtype).contiguous(memory_format=torch.channels_last)
        if compiled.supports(maps, plan):
            return compiled.backward(maps, gradient, plan, None), None
        if supports(maps):
            return cuda_backward(maps, gradient, ctx.window), None
        return chunked_backward(maps, gradient, ctx.window), None


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
    """Divides each response by a power of the sum of squares of its neighbors among the maps.

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
    """Divides each response by a power of the sum of squares of its neighbors in its own map.

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
