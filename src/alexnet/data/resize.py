"""Resizes photos: shorter side N and the central N x N square (paper, section 2), or Caffe's warp.

The filter of `prepare` is Pillow's antialiased bicubic, rows before columns, computed by torch, which is
several times faster; tests compare the two. Imported models were trained on photos resized with other
filters, which `FILTERS` has too. A photo that has the wanted size already is not changed. Each function
raises UnreadableImage for a photo so narrow that the result would exceed `MAX_PIXELS`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from alexnet.data.decode import MAX_PIXELS, Pixels, UnreadableImage
from alexnet.errors import DataError

FILTER = "bicubic, antialiased"
"""The filter of `prepare`."""
FILTERS = {
    FILTER: ("bicubic", True),
    "bilinear, antialiased": ("bilinear", True),
    "bilinear": ("bilinear", False),
}
"""torch's mode, and whether it is antialiased, by the name in stores and model files."""


def resized_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) with the shorter one `side` pixels, the longer one round(longer * side / shorter)."""
    shorter = min(height, width)
    return round(height * side / shorter), round(width * side / shorter)


def crop_offset(height: int, width: int, side: int) -> tuple[int, int]:
    """(top, left) of the central square, rounded down as in the successor of the 2012 source."""
    return (height - side) // 2, (width - side) // 2


def to_whole(photo: Pixels, side: int, resampling: str = FILTER) -> Pixels:
    """The whole photo (H, W, C) uint8 with shorter side `side` pixels.

    UnreadableImage if it would have more than `MAX_PIXELS`, DataError if `FILTERS` lacks `resampling`.
    """
    height, width, _ = photo.shape
    return _resize(photo, *resized_size(height, width, side), resampling)


def to_square(photo: Pixels, side: int, resampling: str = FILTER) -> Pixels:
    """(side, side, C): shorter side to `side`, then the center. Errors as for `to_whole`."""
    whole = to_whole(photo, side, resampling)
    top, left = crop_offset(whole.shape[0], whole.shape[1], side)
    return np.ascontiguousarray(whole[top : top + side, left : left + side])


def warp(photo: Pixels, side: int, resampling: str = FILTER) -> Pixels:
    """(side, side, C) with another aspect ratio, as Caffe resized ImageNet. Errors as for `to_whole`."""
    return _resize(photo, side, side, resampling)


def pad(photo: Pixels, side: int) -> Pixels:
    """(side, side, C): the photo, not resized, centered on black; half a pixel down and right if it cannot be
    centered exactly.

    The photo must not be larger than the square.
    """
    height, width, channels = photo.shape
    square = np.zeros((side, side, channels), np.uint8)
    top, left = (-edge for edge in crop_offset(height, width, side))
    square[top : top + height, left : left + width] = photo
    return square


def shrink(photo: Pixels, longest: int, resampling: str = FILTER) -> Pixels:
    """The photo (H, W, C) uint8 with its longer side at most `longest` pixels (1 or more), the shorter one at
    least 1; a photo that is not larger is unchanged.

    Errors as for `to_whole`.
    """
    height, width, _ = photo.shape
    longer = max(height, width)
    if longer <= longest:
        return photo
    height, width = (max(1, round(length * longest / longer)) for length in (height, width))
    return _resize(photo, height, width, resampling)


def _resize(photo: Pixels, height: int, width: int, resampling: str) -> Pixels:
    if photo.shape[:2] == (height, width):
        return photo
    if height * width > MAX_PIXELS:
        raise UnreadableImage(f"{photo.shape[1]}x{photo.shape[0]} pixels would become {width}x{height}")
    if resampling not in FILTERS:
        raise DataError(
            f"unknown resampling filter {resampling!r}: upgrade alexnet, or use one of {', '.join(FILTERS)}"
        )
    mode, antialias = FILTERS[resampling]
    # uint8 in channels-last memory is torch's fast path. The batch dimension must be added before the
    # permutation: added after it, its stride hides the layout, and copies double the time.
    planes = torch.from_numpy(np.ascontiguousarray(photo))[None].permute(0, 3, 1, 2)
    sized = functional.interpolate(planes, size=(height, width), mode=mode, antialias=antialias)
    return sized.permute(0, 2, 3, 1).contiguous()[0].numpy()
