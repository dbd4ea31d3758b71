"""Augmentation of training images: crops and mirroring, color, random erasing; and the final normalization.

The two augmentations of the paper (section 4.1) are random crops with horizontal reflections and PCA
lighting. Random numbers come from `ImageRandomness`; `Preprocessing` applies them: a random crop is a
position that `crops.cut` cuts, PCA lighting is a shift of each channel that `normalize` adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from alexnet.data.crops import Positions
from alexnet.data.decode import luma
from alexnet.data.randomness import ImageRandomness

_TRIES = 10
"""Number of random areas and aspect ratios that are tried for a resized crop."""


def random_positions(side: int, crop: int, randomness: ImageRandomness, mirror: bool) -> Positions:
    """(N, 1, 3): one position (y, x, mirrored) for each image, with offsets 0 .. side - crop, both included.

    At 256 and 224 these are 33 x 33 x 2 positions; the paper's count of 2048 means 32 x 32 x 2, its source
    has 33.
    """
    offsets = side - crop + 1
    y, x = randomness.integers("crop y", offsets), randomness.integers("crop x", offsets)
    mirrored = randomness.integers("mirror", 2) * mirror
    return np.stack([y, x, mirrored], axis=1)[:, None]


def random_resized_crop(
    images: Tensor,
    crop: int,
    randomness: ImageRandomness,
    area: tuple[float, float],
    aspect: tuple[float, float],
    mirror: bool,
) -> Tensor:
    """(N, crop, crop, C) uint8: a box of random area and aspect ratio of each uint8 image (N, S, S, C),
    resized.

    The resize is bilinear with antialiasing. Source: Szegedy 2014, section 6.
    """
    boxes = random_boxes(images.shape[1], randomness, area, aspect)
    mirrored = randomness.integers("mirror", 2) * mirror
    resize = _resize_one_by_one if images.device.type == "cpu" else _resize_by_matrices
    return resize(images, crop, boxes, mirrored)


def random_boxes(
    side: int, randomness: ImageRandomness, area: tuple[float, float], aspect: tuple[float, float]
) -> NDArray[np.int64]:
    """(N, 4) boxes (y, x, height, width) in pixels inside a square of `side`, for `random_resized_crop`.

    The area is uniform in `area` x side^2, the logarithm of width / height uniform in that of `aspect`. The
    first of ten draws that fits is used; if none fits, the largest central box of an allowed aspect ratio.
    """
    draws = randomness.uniform("resized crop", 2 * _TRIES).reshape(-1, _TRIES, 2)
    areas = side**2 * (area[0] + (area[1] - area[0]) * draws[..., 0])
    ratios = np.exp(np.log(aspect[0]) + np.log(aspect[1] / aspect[0]) * draws[..., 1])
    sizes = np.rint(np.sqrt(np.stack([areas / ratios, areas * ratios], axis=-1))).astype(np.int64)
    fits = np.all((sizes >= 1) & (sizes <= side), axis=-1)
    chosen = sizes[np.arange(len(sizes)), np.argmax(fits, axis=1)]
    nearest = min(max(1.0, aspect[0]), aspect[1])
    largest = np.maximum(1, np.rint([side * min(1, 1 / nearest), side * min(1, nearest)])).astype(np.int64)
    found = np.any(fits, axis=1, keepdims=True)
    chosen = np.where(found, chosen, largest)
    room = side - chosen
    corners = (randomness.uniform("resized crop corner", 2) * (room + 1)).astype(np.int64)
    return np.concatenate([np.where(found, corners, room // 2), chosen], axis=1)


def pca_lighting(
    randomness: ImageRandomness,
    eigenvalues: NDArray[np.floating],
    eigenvectors: NDArray[np.floating],
    strength: float,
    reading: Literal["source", "paper"],
) -> NDArray[np.float32]:
    """(N, 3) gray levels (of 255) to add to the channels of each image.

    `eigenvalues` (3,) and `eigenvectors` (3, 3; one per row) are those of the covariance of colors in 0..255.
    `source`: a draw from N(0, 1) x strength on each axis times its standard deviation, as in the 2012 source;
    about 7 gray levels per channel. `paper`: times its eigenvalue, as in section 4.1. Taken literally that
    would be some 850 gray levels, so the eigenvalues are those of pixels in 0..1, the only scale on which
    this leaves recognizable images; about 3 gray levels.
    """
    spread = np.sqrt(eigenvalues) if reading == "source" else 255 * (eigenvalues / 255**2)
    draws = randomness.normal("color noise", 3) * strength * spread
    return (draws @ eigenvectors).astype(np.float32)


def jitter_factors(randomness: ImageRandomness, strength: float) -> NDArray[np.float32]:
    """(N, 3) factors of brightness, contrast and saturation, each uniform in 1 - strength .. 1 + strength."""
    return (1 + strength * (2 * randomness.uniform("color jitter", 3) - 1)).astype(np.float32)


def color_jitter(images: Any, factors: Any) -> None:
    """Scales brightness, then contrast, then saturation of float `images` (..., H, W, 3), in place.

    `factors` are (..., 3). Contrast is scaled about the mean luma of the image, saturation about each pixel's
    luma. Values are not clipped. Takes numpy arrays and tensors.
    """
    brightness, contrast, saturation = (factors[..., step, None, None] for step in range(3))
    gain = brightness * contrast
    grays = luma(images)
    means = grays.mean((-2, -1))[..., None, None] * (brightness - gain)
    grays = grays * (gain * (1 - saturation)) + means
    images *= (gain * saturation)[..., None]
    for channel in range(3):
        images[..., channel] += grays


def erase(images: Tensor, randomness: ImageRandomness, probability: float) -> None:
    """Sets a random rectangle of each normalized image (N, H, W, C) to 0 with this probability, in place.

    0 is the mean that was subtracted; with `data.normalization=range`, the gray level that is mapped to 0.
    Its area is 2 to 40 % of the image, its aspect ratio 0.3 to 1 / 0.3. Source: Zhong 2017, section 4.
    """
    height, width = images.shape[1:3]
    chance, area, aspect, top, left = randomness.uniform("erasing", 5).T
    area = (0.02 + 0.38 * area) * height * width
    aspect = 0.3 ** (2 * aspect - 1)
    tall = np.minimum(np.rint(np.sqrt(area / aspect)), height).astype(np.int64)
    wide = np.minimum(np.rint(np.sqrt(area * aspect)), width).astype(np.int64)
    y, x = (top * (height - tall + 1)).astype(np.int64), (left * (width - wide + 1)).astype(np.int64)
    targets: Any = images.numpy() if images.device.type == "cpu" else images
    for index in np.flatnonzero(chance < probability):
        targets[index, y[index] : y[index] + tall[index], x[index] : x[index] + wide[index]] = 0


def normalize(
    inputs: Tensor,
    crops: Tensor,
    means: Tensor,
    shifts: Tensor | None = None,
    divisors: Tensor | None = None,
    jitter: Tensor | None = None,
) -> None:
    """Fills float `inputs` with (jittered `crops` - means + shifts) / divisors, computed left to right.

    `inputs` and uint8 `crops` are (N, V, crop, crop, C), `means` the same or with 1 for N or V; `shifts` are
    (N, 1, C), `divisors` (1, 1, C) and `jitter`, the factors of `color_jitter`, (N, 1, 3). All are on one
    device.
    """
    crop = inputs.shape[3]
    parts = _pieces(inputs, crops, means, _row(shifts, crop), _row(divisors, crop), jitter)
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


def _resize_one_by_one(
    images: Tensor, crop: int, boxes: NDArray[np.int64], mirrored: NDArray[np.int64]
) -> Tensor:
    """On a CPU torch's uint8 resize of single images is many times faster than matrices."""
    resized = np.empty((len(images), crop, crop, images.shape[3]), np.uint8)
    for image, target, (y, x, height, width), flip in zip(
        images.numpy(), resized, boxes, mirrored, strict=True
    ):
        box = torch.from_numpy(np.ascontiguousarray(image[y : y + height, x : x + width]))[None]
        channels_last = box.permute(0, 3, 1, 2)  # torch is faster for this memory layout
        planes = interpolate(channels_last, (crop, crop), mode="bilinear", antialias=True)[0]
        square = planes.numpy().transpose(1, 2, 0)
        target[...] = square[:, ::-1] if flip else square
    return torch.from_numpy(resized)


def _resize_by_matrices(
    images: Tensor, crop: int, boxes: NDArray[np.int64], mirrored: NDArray[np.int64]
) -> Tensor:
    """All images at once, by one matrix each for rows and columns, for devices that multiply fast."""
    side = images.shape[1]
    rows = _resize_weights(boxes[:, 0], boxes[:, 2], side, crop)
    columns = _resize_weights(boxes[:, 1], boxes[:, 3], side, crop)
    columns = np.where(mirrored[:, None, None] == 1, columns[:, ::-1], columns)
    down = torch.from_numpy(rows).to(images.device)[:, None]
    across = torch.from_numpy(columns).to(images.device)[:, None].mT
    resized = down @ images.permute(0, 3, 1, 2).float() @ across
    return resized.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _resize_weights(
    start: NDArray[np.int64], length: NDArray[np.int64], side: int, crop: int
) -> NDArray[np.float32]:
    """(N, crop, side): the weights of an antialiased bilinear resize of `length` pixels to `crop`."""
    scale = (length / crop)[:, None, None]
    centers = start[:, None, None] + (np.arange(crop)[None, :, None] + 0.5) * scale
    pixels = np.arange(side) + 0.5
    weights = np.maximum(0, 1 - np.abs(pixels - centers) / np.maximum(scale, 1))
    weights *= (pixels > start[:, None, None]) & (pixels < (start + length)[:, None, None])
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)


def _row(colors: Tensor | None, crop: int) -> Tensor | None:
    """Colors (n, v, C) as rows of pixels (n, v, 1, crop * C): adding long rows is several times faster."""
    return None if colors is None else colors.repeat(1, 1, crop)[:, :, None]


def _pieces(inputs: Tensor, *others: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """On a CPU image by image as arrays, else all at once.

    One image stays in the cache between operations, and numpy starts no threads; torch's would wait for each
    other in every operation while the loader's threads decode.
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
