"""The C++ kernel for what follows a layer: ReLU, response normalization, max pooling, ReLU, in one pass.

`fused_forward` and `fused_backward` call `fused_block.cpp` through ctypes, on a CPU with a C++ compiler
(`supports`).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch

from alexnet.models.layers.cpp import library

_SUFFIXES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
"""Suffixes of the kernel's functions."""


@dataclass(frozen=True)
class LrnParams:
    """Response normalization: b = a * (k + alpha * sum of squares over a window) ** -beta."""

    size: int
    """Size of the window: maps, starting `size // 2` before; or pixels on a side, centered."""
    alpha: float
    """Factor of the sum of squares; already divided by the window's size if the convention requires it."""
    beta: float
    k: float
    groups: int = 1
    """Equal blocks of maps; a window stays within its block."""
    within_map: bool = False
    """Whether the window is a square of pixels in one map, and not a run of maps at one pixel."""

    @property
    def before(self) -> int:
        """Maps of the window before the current one; in an even window one more than after it."""
        return self.size // 2

    @property
    def after(self) -> int:
        """Maps of the window after the current one."""
        return self.size - 1 - self.size // 2


@dataclass(frozen=True)
class PoolParams:
    """Max pooling: window and stride in pixels; `ceil_mode` as in torch."""

    size: int
    stride: int
    ceil_mode: bool

    def side(self, side: int) -> int:
        """Side of the pooled map of a map with this side; below 1 if no window fits."""
        steps = (side - self.size + (self.stride - 1 if self.ceil_mode else 0)) // self.stride
        return steps if steps * self.stride >= side else steps + 1  # no window may start outside the map


@dataclass(frozen=True)
class FusedSteps:
    """What the kernel computes, in this order; each step may be left out."""

    relu_first: bool = False
    lrn: LrnParams | None = None
    spatial_lrn: LrnParams | None = None
    pool: PoolParams | None = None
    relu_last: bool = False
    """Only after pooling."""


class _Arguments(ctypes.Structure):
    """`Plan` of local_response_norm.cpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels")),
        *((name, ctypes.c_int64) for name in ("pooled_height", "pooled_width", "pool_size", "pool_stride")),
        *((name, ctypes.c_int64) for name in ("groups", "across_size", "within_size")),
        *((name, ctypes.c_int64) for name in ("rectify_first", "rectify_last", "threads")),
        *((name, ctypes.c_double) for name in ("across_alpha", "across_k", "within_alpha", "within_k")),
    )


def supports(maps: torch.Tensor, steps: FusedSteps) -> bool:
    """Whether the kernel can compute these steps for `maps`."""
    known = all(norm.beta == 0.75 and norm.k > 0 for norm in (steps.lrn, steps.spatial_lrn) if norm)
    known = known and (steps.pool is None or steps.pool.size < 16)  # the chosen pixel is stored in a byte
    return (
        maps.device.type == "cpu" and maps.dtype in _SUFFIXES and known and library("fused_block") is not None
    )


def fused_forward(
    maps: torch.Tensor, steps: FusedSteps, choices: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(result, the pixel that each pooling window chose): (N, C, H', W') channels-last, float32 or bfloat16.

    The choice is uint8, for `fused_backward`; it is None unless `choices` is set and the steps pool.
    """
    maps = maps.contiguous(memory_format=torch.channels_last)
    images, channels, height, width = maps.shape
    if steps.pool:
        height, width = steps.pool.side(height), steps.pool.side(width)
    shape = (images, channels, height, width)
    result = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
    chosen = torch.empty_like(result, dtype=torch.uint8) if choices and steps.pool else None
    _call("forward", maps, steps, maps, result, chosen)
    return result, chosen


def fused_backward(
    maps: torch.Tensor, gradient: torch.Tensor, steps: FusedSteps, chosen: torch.Tensor | None
) -> torch.Tensor:
    """(N, C, H, W) channels-last, of the type of `maps`: the gradient with respect to `maps`.

    `maps` (N, C, H, W) and `chosen` are those of `fused_forward` with `choices`, `gradient` (N, C, H', W') is
    with respect to its result.
    """
    maps = maps.contiguous(memory_format=torch.channels_last)
    gradient = gradient.to(maps.dtype).contiguous(memory_format=torch.channels_last)
    result = torch.empty_like(maps)
    _call("backward", maps, steps, maps, gradient, chosen, result)
    return result


def _call(direction: str, maps: torch.Tensor, steps: FusedSteps, *tensors: torch.Tensor | None) -> None:
    kernel = getattr(library("fused_block"), f"{direction}_{_SUFFIXES[maps.dtype]}")
    arguments = _arguments(steps, *maps.shape)
    kernel(
        ctypes.byref(arguments),
        *(ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None) for tensor in tensors),
    )


def _arguments(steps: FusedSteps, images: int, channels: int, height: int, width: int) -> _Arguments:
    """The steps for maps of one size; if no step needs whole images, each pixel row is an image."""
    if not (steps.pool or steps.spatial_lrn):
        images, height = images * height, 1
    lrn, spatial, pool = steps.lrn, steps.spatial_lrn, steps.pool
    return _Arguments(
        images=images,
        height=height,
        width=width,
        channels=channels,
        pooled_height=pool.side(height) if pool else 0,
        pooled_width=pool.side(width) if pool else 0,
        pool_size=pool.size if pool else 0,
        pool_stride=pool.stride if pool else 0,
        groups=lrn.groups if lrn else 1,
        across_size=lrn.size if lrn else 0,
        within_size=spatial.size if spatial else 0,
        rectify_first=steps.relu_first,
        rectify_last=steps.relu_last,
        threads=torch.get_num_threads(),
        across_alpha=lrn.alpha if lrn else 0,
        across_k=lrn.k if lrn else 0,
        within_alpha=spatial.alpha if spatial else 0,
        within_k=spatial.k if spatial else 0,
    )
