"""Max pooling at every offset: as many answers as there are unpooled places, not one every few.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 3.3 and figure 3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import max_pool2d


def at_every_offset(
    answer: Callable[[Tensor], Tensor], maps: Tensor, size: int, side: int, places: tuple[int, int]
) -> Tensor:
    """(N, K, *places) what `answer` says of the window of `maps` (N, C, H, W) that begins at each place.

    `maps` are pooled without overlap, `size` x `size`, beginning at each offset (dy, dx) of 0 ... size - 1.
    `answer` takes pooled maps (N, C, h, w) to (N, K, h - side + 1, w - side + 1). The results, `size` places
    apart, are interleaved. A window is size x side values wide: the last place must leave room for it.
    """
    rows, columns = places
    result: Tensor | None = None
    for dy in range(min(size, rows)):
        for dx in range(min(size, columns)):
            height, width = (len(range(d, n, size)) + side - 1 for d, n in ((dy, rows), (dx, columns)))
            part = maps[:, :, dy : dy + size * height, dx : dx + size * width]
            answers = answer(max_pool2d(part, size))
            if result is None:
                result = answers.new_empty((len(maps), answers.shape[1], rows, columns))
            result[:, :, dy::size, dx::size] = answers
    assert result is not None, "there is at least one place"
    return result


class _Pool(nn.Module):
    def __init__(self, size: int = 3, stride: int = 2, rounds_up: bool = True):
        super().__init__()
        self.size, self.stride, self.rounds_up = size, stride, rounds_up

    def extra_repr(self) -> str:
        """The window, for `print(net)`."""
        return f"size={self.size}, stride={self.stride}, rounds_up={self.rounds_up}"


class MaxPool(_Pool):
    """The largest value of each `size` x `size` window, one window every `stride` pixels.

    Overlapping in the paper (3 every 2). Output side: 1 + ceil((side - size) / stride), or floor where
    `rounds_up` is off. Windows that hang over the border take the largest of what is inside.
    Source: paper, section 3.4; 2012 source release, layer.py (sizes round up).
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return functional.max_pool2d(maps, self.size, self.stride, ceil_mode=self.rounds_up)


class AveragePool(_Pool):
    """The mean of each window in place of its largest value; of one over the border, of what is inside.

    Source: LeCun et al. 1998, section II.B (sub-sampling), without its trained coefficient and bias.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return functional.avg_pool2d(maps, self.size, self.stride, ceil_mode=self.rounds_up)


def filters_of_averages(filters: torch.Tensor, side: int) -> torch.Tensor:
    """(O, C, side, side): of maps themselves what `filters` (O, C, n, n) are of their adaptive averages.

    A convolution with them answers to each side x side part of a map as one with `filters` does to
    `torch.nn.AdaptiveAvgPool2d(n)` of that part, since averaging is linear.
    """
    pixels = torch.eye(side**2, dtype=filters.dtype, device=filters.device).view(-1, 1, side, side)
    shares = functional.adaptive_avg_pool2d(pixels, filters.shape[-1]).flatten(1)
    return (filters.flatten(2) @ shares.T).unflatten(2, (side, side))
