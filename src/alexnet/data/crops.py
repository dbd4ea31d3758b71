"""What the net sees of a stored image: squares of it, plain or mirrored, named by their positions.

A position is (y, x, mirrored): the upper left corner in pixels, and 1 where left and right are swapped.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Positions = NDArray[np.int64]


def center(side: int, crop: int) -> Positions:
    """(1, 3): the central square; half a pixel up and left where it cannot be exact."""
    middle = (side - crop) // 2
    return np.array([[middle, middle, 0]])


def ten(side: int, crop: int) -> Positions:
    """(10, 3): the four corners and the center, then the same five mirrored. Source: section 4.1."""
    end = side - crop
    corners = [[0, 0, 0], [0, end, 0], [end, 0, 0], [end, end, 0]]
    five = np.concatenate([np.array(corners), center(side, crop)])
    return np.concatenate([five, five + np.array([0, 0, 1])])


def grid(height: int, width: int, crop: int, rows: int = 5) -> Positions:
    """(2 * rows**2, 3): a regular grid of rows x rows squares from border to border, then the same mirrored.

    Offsets between the borders are rounded. Source: Simonyan and Zisserman 2014, section 3.2 (5 x 5 and two
    flips: 50 crops a scale).
    """
    y, x = (np.round(np.linspace(0, length - crop, rows)).astype(np.int64) for length in (height, width))
    plain = np.stack([*np.meshgrid(y, x, indexing="ij"), np.zeros((rows, rows), np.int64)], axis=-1)
    return np.concatenate([plain, plain + np.array([0, 0, 1])]).reshape(-1, 3)


def default_views(mirror: bool) -> str:
    """`ten`; for a net that was not trained on mirrored images, such as of digits, `center`."""
    return "ten" if mirror else "center"


def cut(images: Tensor, crop: int, positions: Positions) -> Tensor:
    """(N, V, crop, crop, C) squares of `images` (N, H, W, C), of the same type and on the same device.

    `positions` are (V, 3) for all images alike, or (N, V, 3).
    """
    positions = np.broadcast_to(positions, (len(images), *positions.shape[-2:]))
    return (_copy if images.device.type == "cpu" else _gather)(images, crop, positions)


def _copy(images: Tensor, crop: int, positions: Positions) -> Tensor:
    """`cut` by slices: on a CPU six times faster than a gather."""
    squares = torch.empty((*positions.shape[:2], crop, crop, images.shape[3]), dtype=images.dtype)
    sources, targets = _whole_pixels(images), _whole_pixels(squares)
    for image, target, places in zip(sources, targets, positions.tolist(), strict=True):
        for square, (y, x, mirrored) in zip(target, places, strict=True):
            part = image[y : y + crop, x : x + crop]
            square[...] = part[:, ::-1] if mirrored else part
    return squares


def _whole_pixels(images: Tensor) -> NDArray[np.void]:
    """`images` (..., C) as an array (...) of pixels: reversing rows of these is what numpy does fastest."""
    return images.numpy().view(f"V{images.shape[-1] * images.element_size()}")[..., 0]


def _gather(images: Tensor, crop: int, positions: Positions) -> Tensor:
    """`cut` by one indexing operation, for devices where many small copies are slow."""
    y, x, mirrored = np.moveaxis(positions, -1, 0)[..., None]
    steps = np.arange(crop)
    rows = torch.from_numpy(y + steps).to(images.device)
    columns = torch.from_numpy(x + np.where(mirrored == 1, crop - 1 - steps, steps)).to(images.device)
    which = torch.arange(len(images), device=images.device)
    return images[which[:, None, None, None], rows[..., None], columns[..., None, :]]
