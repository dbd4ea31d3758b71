"""Response normalisation with torch alone, on any device: pieces small enough to stay in the cache.

The plain formula writes and reads a dozen temporaries as large as the maps; here each is as large as a piece.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from alexnet.layers.window import Window

_PIECE_VALUES = {"cpu": 1 << 17, "cuda": 1 << 24}
"""On a GPU pieces only bound the memory: small ones would cost launches."""


def forward(maps: torch.Tensor, window: Window) -> torch.Tensor:
    """The normalised maps: (N, C, H, W) channels-last, in and out."""
    result = torch.empty_like(maps, memory_format=torch.channels_last)
    for piece, out in _pieces(window, maps, result):
        values = _exact(piece)
        scale, _ = _scale(values, window)
        out.copy_(scale.mul_(values))
    return result


def backward(maps: torch.Tensor, gradient: torch.Tensor, window: Window) -> torch.Tensor:
    """The gradient with respect to `maps`, from that with respect to the normalised ones.

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
