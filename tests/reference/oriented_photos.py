"""A photo with one bright rectangle in every EXIF orientation, and where the rectangle is, by looking."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

COLOR = (250, 30, 30)


def upright_photo(size: tuple[int, int], corners: tuple[int, int, int, int]) -> Image.Image:
    """(width, height) of blue noise with a red rectangle at x0, y0, x1, y1, last pixels included."""
    width, height = size
    noise = np.random.default_rng(width).integers(0, 60, (height, width, 3), dtype=np.uint8)
    noise[..., 2] += 150
    x0, y0, x1, y1 = corners
    noise[y0 : y1 + 1, x0 : x1 + 1] = COLOR
    return Image.fromarray(noise)


def file_with_orientation(upright: Image.Image, orientation: int, kind: str = "PNG") -> bytes:
    """A file whose pixels, turned by its EXIF orientation, are `upright`."""
    for turn in (None, *Image.Transpose):
        stored = upright if turn is None else upright.transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        stored.save(file, kind, exif=exif)
        with Image.open(file) as read:
            shown = ImageOps.exif_transpose(read)
            if shown.size == upright.size and np.array_equal(np.asarray(shown), np.asarray(upright)):
                return file.getvalue()
    raise AssertionError(f"no turn gives orientation {orientation}")


def find_rectangle(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """Where the red rectangle is, in fractions of the image (H, W, 3)."""
    red = (pixels[..., 0] > 140) & (pixels[..., 2] < 110)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    height, width = red.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def iou(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    across = min(one[2], two[2]) - max(one[0], two[0])
    down = min(one[3], two[3]) - max(one[1], two[1])
    shared = max(across, 0) * max(down, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return shared / (sum(areas) - shared)
