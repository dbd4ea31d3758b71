"""Response normalisation on CUDA: fused Triton kernels, each value reading its neighbours through the cache.

The maps lie channels-last, so a value's neighbours among the maps are its neighbours in memory, and those
within a map are whole pixels away. Where Triton is missing `supports` says so. No library but torch and
Triton is needed, and nothing is compiled before the first use.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import torch

from alexnet.layers.window import Window

_BLOCK = 1024
"""Values per program."""
_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def supports(maps: torch.Tensor) -> bool:
    """Whether these kernels can normalise `maps`."""
    fits = maps.device.type == "cuda" and maps.dtype in _TYPES and 0 < maps.numel() < 2**31
    return fits and importlib.util.find_spec("triton") is not None


def forward(maps: torch.Tensor, window: Window) -> torch.Tensor:
    """The normalised maps: (N, C, H, W) channels-last, in and out."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    kernels = _kernels()
    kernel = kernels.within_forward if window.within_map else kernels.across_forward
    _launch(kernel, window, maps, result)
    return result


def backward(maps: torch.Tensor, gradient: torch.Tensor, window: Window) -> torch.Tensor:
    """The gradient with respect to `maps`, from that with respect to the normalised ones."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    kernels = _kernels()
    if not window.within_map:
        _launch(kernels.across_backward, window, maps, gradient, result)
        return result
    # 25 neighbours, each with 25 of its own: the inner sums are stored once instead.
    shares = torch.empty_like(maps, dtype=torch.float32, memory_format=torch.channels_last)
    _launch(kernels.within_shares, window, maps, gradient, shares, result)
    _launch(kernels.within_backward, window, maps, shares, result)
    return result


@functools.cache
def _kernels() -> Any:
    """The module of kernels: importing it needs Triton."""
    return importlib.import_module("alexnet.layers.response_norm_triton")


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
