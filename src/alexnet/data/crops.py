"""Crops of stored images for testing: their positions, and cutting them.

A position is (y, x, mirrored): the upper left corner in pixels, and 1 for a horizontal flip.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Positions = NDArray[np.int64]
"""(..., 3)"""


def center(side: int, crop: int) -> Positions:
    """(1, 3): the center crop; half a pixel up and left if it cannot be centered exactly."""
    middle = (side - crop) // 2
    return np.array([[middle, middle, 0]])


def ten(side: int, crop: int) -> Positions:
    """(10, 3): the four corners and the center, then the same five mirrored. Source: paper, section 4.1."""
    end = side - crop
    corners = [[0, 0, 0], [0, end, 0], [end, 0, 0], [end, end, 0]]
    five = np.concatenate([np.array(corners), center(side, crop)])
    return np.concatenate([five, five + np.array([0, 0, 1])])


def grid(height: int, width: int, crop: int, rows: int = 5) -> Positions:
    """(2 * rows**2, 3): a regular grid of rows x rows crops from border to border, then the same mirrored.

    Offsets are rounded. Source: Simonyan and Zisserman 2014, section 3.2 (5 x 5 and two flips: 50 crops per
    scale).
    """
    y, x = (np.round(np.linspace(0, length - crop, rows)).astype(np.int64) for length in (height, width))
    plain = np.stack([*np.meshgrid(y, x, indexing="ij"), np.zeros((rows, rows), np.int64)], axis=-1)
    return np.concatenate([plain, plain + np.array([0, 0, 1])]).reshape(-1, 3)


def default_views(mirror: bool) -> str:
    """`ten`; `center` for a model trained without mirroring, such as one for digits."""
    return "ten" if mirror else "center"


def cut(images: Tensor, crop: int, positions: Positions) -> Tensor:
    """(N, V, crop, crop, C) crops of `images` (N, H, W, C), with the same dtype and on the same device.

    `positions` are (V, 3), the same for all images, or (N, V, 3).
    """
    positions = np.broadcast_to(positions, (len(images), *positions.shape[-2:]))
    return (_copy if images.device.type == "cpu" else _gather)(images, crop, positions)


def _copy(images: Tensor, crop: int, positions: Positions) -> Tensor:
    """`cut` by slices, on a CPU six times faster than a gather."""
    crops = torch.empty((*positions.shape[:2], crop, crop, images.shape[3]), dtype=images.dtype)
    sources, targets = _whole_pixels(images), _whole_pixels(crops)
    for image, target, places in zip(sources, targets, positions.tolist(), strict=True):
        for square, (y, x, mirrored) in zip(target, places, strict=True):
            part = image[y : y + crop, x : x + crop]
            square[...] = part[:, ::-1] if mirrored else part
    return crops


def _whole_pixels(images: Tensor) -> NDArray[np.void]:
    """`images` (..., C) as an array (...) of whole pixels, whose rows numpy reverses fastest."""
    return images.numpy().view(f"V{images.shape[-1] * images.element_size()}")[..., 0]


def _gather(images: Tensor, crop: int, positions: Positions) -> Tensor:
    """`cut` by one indexing operation, for devices on which many small copies are slow."""
    y, x, mirrored = np.moveaxis(positions, -1, 0)[..., None]
    steps = np.arange(crop)
    rows = torch.from_numpy(y + steps).to(images.device)
    columns = torch.from_numpy(x + np.where(mirrored == 1, crop - 1 - steps, steps)).to(images.device)
    which = torch.arange(len(images), device=images.device)
    return images[which[:, None, None, None], rows[..., None], columns[..., None, :]]
