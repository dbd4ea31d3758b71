"""Pillow's own resize and crop: the definition that `alexnet.data.resize` is compared with.

Rows are resized before columns. Pillow up to 12 always does so; from 13 on it takes the cheaper order, and as
each pass rounds and clips to 0..255, noise then differs by some gray levels. So the order is explicit here,
and `as_pillow_likes` leaves it to Pillow.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def resized(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    rows = Image.fromarray(photo).resize((width, photo.shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(rows.resize((width, height), Image.Resampling.BICUBIC))


def as_pillow_likes(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC))


def to_whole(photo: np.ndarray, side: int) -> np.ndarray:
    height, width = photo.shape[:2]
    shorter = min(height, width)
    return resized(photo, round(width * side / shorter), round(height * side / shorter))


def to_square(photo: np.ndarray, side: int) -> np.ndarray:
    whole = Image.fromarray(to_whole(photo, side))
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    return np.asarray(whole.crop((left, top, left + side, top + side)))


def warp(photo: np.ndarray, side: int) -> np.ndarray:
    return resized(photo, side, side)
