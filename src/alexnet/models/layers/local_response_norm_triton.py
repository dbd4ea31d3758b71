"""Response normalization on a GPU: the Triton kernels, and the functions that launch them.

Imported only where Triton is installed.

d = k + alpha * (sum of squares over the window); result a * d^-beta; gradient g * d^-beta - 2 * alpha * beta
* a * (sum of g * a * d^(-beta-1) over all values whose window contains a).
"""

# Triton is optional and untyped, and by its convention constants are in capitals.
# pyright: basic, reportMissingImports=false
# ruff: noqa: N803

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from alexnet.models.layers.fused_kernel import LrnParams

_BLOCK = 1024
"""Number of values per program."""


def forward(maps: torch.Tensor, params: LrnParams) -> torch.Tensor:
    """The normalized maps: (N, C, H, W) channels-last, in and out."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    _launch(within_forward if params.within_map else across_forward, params, maps, result)
    return result


def backward(maps: torch.Tensor, gradient: torch.Tensor, params: LrnParams) -> torch.Tensor:
    """The gradient with respect to `maps`, from that with respect to the normalized maps."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    if not params.within_map:
        _launch(across_backward, params, maps, gradient, result)
        return result
    # 25 neighbors, each with 25 of its own: the inner sums are stored once instead.
    shares = torch.empty_like(maps, dtype=torch.float32, memory_format=torch.channels_last)
    _launch(within_shares, params, maps, gradient, shares, result)
    _launch(within_backward, params, maps, shares, result)
    return result


def _launch(kernel: Any, params: LrnParams, *tensors: torch.Tensor) -> None:
    _, channels, height, width = tensors[0].shape
    count = tensors[0].numel()
    if params.within_map:
        sizes, constants = (height, width, channels), {"REACH": params.size // 2}
    else:
        sizes, constants = (channels // params.groups,), {"BEFORE": params.before, "AFTER": params.after}
    with torch.cuda.device_of(tensors[0]):  # Triton launches on the current device, whatever it is given
        kernel[(-(-count // _BLOCK),)](
            *tensors, count, *sizes, params.alpha, params.beta, params.k, BLOCK=_BLOCK, **constants
        )


@triton.jit
def _square(maps, at, inside):
    value = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
    return value * value


@triton.jit
def _power(d, exponent):
    return tl.exp(exponent * tl.log(d))


@triton.jit
def _across_base(maps, at, place, inside, channels, alpha, k, BEFORE: tl.constexpr, AFTER: tl.constexpr):
    """d of the values at `at`, whose map is number `place` of its tower's `channels`."""
    total = tl.zeros_like(at).to(tl.float32)
    for offset in tl.static_range(-BEFORE, AFTER + 1):
        other = place + offset
        total += _square(maps, at + offset, inside & (other >= 0) & (other < channels))
    return k + alpha * total


@triton.jit
def across_forward(
    maps, result, count, channels, alpha, beta, k,
    BEFORE: tl.constexpr, AFTER: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Normalizes a block of values by their neighbors among the maps."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    base = _across_base(maps, at, at % channels, inside, channels, alpha, k, BEFORE, AFTER)
    value = tl.load(maps + at, mask=inside).to(tl.float32)
    tl.store(result + at, (value * _power(base, -beta)).to(result.dtype.element_ty), mask=inside)


@triton.jit
def across_backward(
    maps, gradient, result, count, channels, alpha, beta, k,
    BEFORE: tl.constexpr, AFTER: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of `across_forward`; every neighbor's d is computed again from cached values."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    place, inside = at % channels, at < count
    shares = tl.zeros_like(at).to(tl.float32)
    for offset in tl.static_range(-AFTER, BEFORE + 1):
        other = place + offset
        within = inside & (other >= 0) & (other < channels)
        base = _across_base(maps, at + offset, other, within, channels, alpha, k, BEFORE, AFTER)
        value = tl.load(maps + at + offset, mask=within, other=0.0).to(tl.float32)
        slope = tl.load(gradient + at + offset, mask=within, other=0.0).to(tl.float32)
        shares += slope * value * _power(base, -beta - 1.0)
    base = _across_base(maps, at, place, inside, channels, alpha, k, BEFORE, AFTER)
    value = tl.load(maps + at, mask=inside).to(tl.float32)
    slope = tl.load(gradient + at, mask=inside).to(tl.float32)
    found = slope * _power(base, -beta) - 2.0 * alpha * beta * value * shares
    tl.store(result + at, found.to(result.dtype.element_ty), mask=inside)


@triton.jit
def _within_sum(values, at, inside, height, width, channels, SQUARED: tl.constexpr, REACH: tl.constexpr):
    """The sum of `values` (or their squares) over the square of pixels around `at`, inside the map."""
    column = (at // channels) % width
    row = (at // (channels * width)) % height
    total = tl.zeros_like(at).to(tl.float32)
    for down in tl.static_range(-REACH, REACH + 1):
        for right in tl.static_range(-REACH, REACH + 1):
            there = inside & (row + down >= 0) & (row + down < height)
            there = there & (column + right >= 0) & (column + right < width)
            other = at + (down * width + right) * channels
            value = tl.load(values + other, mask=there, other=0.0).to(tl.float32)
            total += value * value if SQUARED else value
    return total


@triton.jit
def within_forward(
    maps, result, count, height, width, channels, alpha, beta, k,
    REACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Normalizes a block of values by their neighbors in their own map."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    base = k + alpha * _within_sum(maps, at, inside, height, width, channels, True, REACH)
    value = tl.load(maps + at, mask=inside).to(tl.float32)
    tl.store(result + at, (value * _power(base, -beta)).to(result.dtype.element_ty), mask=inside)


@triton.jit
def within_shares(
    maps, gradient, shares, direct, count, height, width, channels, alpha, beta, k,
    REACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """First half of the gradient: g * a * d^(-beta-1) into `shares`, g * d^-beta into `direct`."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    base = k + alpha * _within_sum(maps, at, inside, height, width, channels, True, REACH)
    value = tl.load(maps + at, mask=inside).to(tl.float32)
    slope = tl.load(gradient + at, mask=inside).to(tl.float32)
    scaled = slope * _power(base, -beta)
    tl.store(shares + at, scaled * value / base, mask=inside)
    tl.store(direct + at, scaled.to(direct.dtype.element_ty), mask=inside)


@triton.jit
def within_backward(
    maps, shares, result, count, height, width, channels, alpha, beta, k,
    REACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Second half: subtracts the sum of the neighbors' shares from what `result` holds."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    total = _within_sum(shares, at, inside, height, width, channels, False, REACH)
    value = tl.load(maps + at, mask=inside).to(tl.float32)
    direct = tl.load(result + at, mask=inside).to(tl.float32)
    found = direct - 2.0 * alpha * beta * value * total
    tl.store(result + at, found.to(result.dtype.element_ty), mask=inside)
