"""A photo to its stored size: shorter side N and the central N x N (paper, section 2), or Caffe's warp.

The filter of `prepare` is Pillow's antialiased bicubic, rows before columns, computed by torch, several times
faster; the two are compared in the tests. Nets of other programs were trained on photos resized with other
filters, and `FILTERS` names those too. A photo that has the wanted size already is not touched, and one so
narrow that it would grow beyond all memory is an UnreadableImage.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from alexnet.data.decode import MAX_PIXELS, Pixels, UnreadableImage
from alexnet.errors import DataError

FILTER = "bicubic, antialiased"
"""What `prepare` resizes with."""
FILTERS = {
    FILTER: ("bicubic", True),
    "bilinear, antialiased": ("bilinear", True),
    "bilinear": ("bilinear", False),
}
"""By the name that stores and model files carry: torch's name, and whether it widens to shrink a photo."""


def resized_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) with the shorter one `side` pixels, the longer one round(longer * side / shorter)."""
    shorter = min(height, width)
    return round(height * side / shorter), round(width * side / shorter)


def crop_offset(height: int, width: int, side: int) -> tuple[int, int]:
    """(top, left) of the central square, rounded down as in 2012's successor."""
    return (height - side) // 2, (width - side) // 2


def to_whole(photo: Pixels, side: int, resampling: str = FILTER) -> Pixels:
    """The whole photo (H, W, C) with shorter side `side`. DataError where `FILTERS` lacks `resampling`."""
    height, width, _ = photo.shape
    return _resize(photo, *resized_size(height, width, side), resampling)


def to_square(photo: Pixels, side: int, resampling: str = FILTER) -> Pixels:
    """(side, side, C): shorter side to `side`, then the center. DataError as for `to_whole`."""
    whole = to_whole(photo, side, resampling)
    top, left = crop_offset(whole.shape[0], whole.shape[1], side)
    return np.ascontiguousarray(whole[top : top + side, left : left + side])


def warp(photo: Pixels, side: int, resampling: str = FILTER) -> Pixels:
    """(side, side, C) whatever the aspect was, as Caffe resized ImageNet. DataError as for `to_whole`."""
    return _resize(photo, side, side, resampling)


def pad(photo: Pixels, side: int) -> Pixels:
    """(side, side, C): the photo as it is in the middle of black, half a pixel down and right if it is odd.

    It must not be larger than that.
    """
    height, width, channels = photo.shape
    square = np.zeros((side, side, channels), np.uint8)
    top, left = (-edge for edge in crop_offset(height, width, side))
    square[top : top + height, left : left + width] = photo
    return square


def shrink(photo: Pixels, longest: int, resampling: str = FILTER) -> Pixels:
    """The photo (H, W, C) with its longer side `longest` pixels; a smaller one as it is."""
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
        raise DataError(f"photos resized with {resampling!r} are not known here: update alexnet")
    mode, antialias = FILTERS[resampling]
    # uint8 with channels last in memory is torch's fast path. Order matters: a batch dimension put in front
    # after the permutation has a stride that hides the layout, and copies to and fro double the time.
    planes = torch.from_numpy(np.ascontiguousarray(photo))[None].permute(0, 3, 1, 2)
    sized = functional.interpolate(planes, size=(height, width), mode=mode, antialias=antialias)
    return sized.permute(0, 2, 3, 1).contiguous()[0].numpy()
