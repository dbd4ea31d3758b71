"""Grey levels in, the net's numbers out: the one loop over all values between the store and the net."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from alexnet.data.modern_augment import color_jitter


def normalize(
    inputs: Tensor,
    squares: Tensor,
    means: Tensor,
    shifts: Tensor | None = None,
    divisors: Tensor | None = None,
    jitter: Tensor | None = None,
) -> None:
    """Fills float `inputs` with (jittered `squares` - means + shifts) / divisors, left to right.

    `inputs` and uint8 `squares` are (N, V, crop, crop, C), `means` that or with 1 for N or V; `shifts`
    (N, 1, C), `divisors` (1, 1, C) and `jitter`, the factors of `color_jitter`, (N, 1, 3). One device.
    """
    crop = inputs.shape[3]
    parts = _pieces(inputs, squares, means, _row(shifts, crop), _row(divisors, crop), jitter)
    for image, square, mean, shift, divisor, factors in parts:
        image[...] = square
        if factors is not None:
            color_jitter(image, factors)
        image -= mean
        rows = image.reshape(*image.shape[:-2], -1)
        if shift is not None:
            rows += shift
        if divisor is not None:
            rows /= divisor


def _row(colors: Tensor | None, crop: int) -> Tensor | None:
    """Colours (n, v, C) as rows of pixels (n, v, 1, crop * C): long rows are added several times faster."""
    return None if colors is None else colors.repeat(1, 1, crop)[:, :, None]


def _pieces(inputs: Tensor, *others: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """On a CPU image by image as arrays, else all at once.

    One image stays in the cache from step to step, and numpy starts no threads: torch's would wait for
    each other in every step while the loader's threads decode.
    """
    if inputs.device.type != "cpu":
        yield inputs, *others
        return
    lead = inputs.shape[:2]
    arrays = [
        None if tensor is None else np.broadcast_to(tensor.numpy(), (*lead, *tensor.shape[2:]))
        for tensor in others
    ]
    for place in np.ndindex(*lead):
        yield inputs[place].numpy(), *(None if array is None else array[place] for array in arrays)
