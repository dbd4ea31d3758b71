"""Augmentation and normalization image by image and step by step, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float64]


def training_input(
    image: NDArray[np.uint8],
    position: tuple[int, int, int],
    crop: int,
    mean: Array,
    shift: Array,
    divisor: float,
) -> Array:
    """(3, crop, crop): cut, mirror, subtract the central part of the mean image, add, divide."""
    y, x, mirrored = position
    square = image[y : y + crop, x : x + crop].astype(np.float64)
    if mirrored:
        square = square[:, ::-1]
    margin = (len(mean) - crop) // 2
    central = mean[margin : margin + crop, margin : margin + crop]
    return ((square - central + shift) / divisor).transpose(2, 0, 1)


def resized_crop(
    image: NDArray[np.uint8], box: tuple[int, int, int, int], crop: int, mirrored: bool
) -> NDArray[np.uint8]:
    """(crop, crop, 3): the box (y, x, height, width) of an image, resized by Pillow."""
    y, x, height, width = box
    part = Image.fromarray(np.ascontiguousarray(image[y : y + height, x : x + width]))
    square = np.asarray(part.resize((crop, crop), Image.Resampling.BILINEAR))
    return square[:, ::-1] if mirrored else square


def color_jitter(image: Array, brightness: float, contrast: float, saturation: float) -> Array:
    """(H, W, 3): one after the other."""
    image = image * brightness
    image = contrast * image + (1 - contrast) * _gray(image).mean()
    return saturation * image + (1 - saturation) * _gray(image)[..., None]


def _gray(image: Array) -> Array:
    return 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
