"""Max pooling at every offset: as many answers as there are unpooled places, not one every few.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 3.3 and figure 3.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
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
