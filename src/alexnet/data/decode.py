"""Decodes photos to uint8 RGB: plain JPEGs with simplejpeg, everything else with Pillow.

Pillow is the reference. simplejpeg gives the same pixels faster, and what it rejects is decoded by Pillow.
The result has three channels: gray is repeated, CMYK (Adobe's inverted CMYK too) and palettes are converted,
16 bits are rescaled to 8, and transparent pixels are composited on white.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps

from alexnet.data.orientation import TAG as ORIENTATION_TAG
from alexnet.errors import DataError

Pixels = npt.NDArray[np.uint8]
"""(H, W, C) gray levels 0..255, RGB or gray; or a batch of such images, (N, H, W, C)."""

MAX_PIXELS = 178_956_970
"""Larger images are refused as decompression bombs; the limit is Pillow's own."""

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of R, G and B (ITU-R BT.601)."""

_SUFFIXES_BY_FORMAT = {
    "JPEG": (".jpeg", ".jpg", ".jpe", ".jfif"),
    "MPO": (".jpeg", ".jpg", ".mpo"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
# MPO, several JPEGs in one file, is opened as JPEG. Other formats of Pillow are no photos: EPS, for example,
# would start Ghostscript.
_FORMATS = tuple(name for name in _SUFFIXES_BY_FORMAT if name != "MPO")

PHOTO_SUFFIXES = tuple(sorted({suffix for each in _SUFFIXES_BY_FORMAT.values() for suffix in each}))
"""A file whose name ends in one of these, in upper or lower case, is a photo."""

_MODE_NAMES = {
    "1": "black and white",
    "L": "gray",
    "LA": "gray",
    "CMYK": "CMYK",
    "P": "palette",
    "PA": "palette",
}
_SEVERAL = {"GIF": "animated", "PNG": "animated", "WEBP": "animated", "TIFF": "several pages"}

# What Pillow's decoders raise on damaged files.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    AttributeError,
)
_BROKEN = (*_DAMAGE, NotImplementedError, struct.error, zlib.error)


class UnreadableImage(DataError):  # noqa: N818 - reads as what it is
    """Not a readable photo: empty, cut short, of another format, or larger than `MAX_PIXELS`."""


class NotAPhoto(UnreadableImage):
    """Not in a supported image format."""


class TooManyPixels(UnreadableImage):
    """More than `MAX_PIXELS`, according to its header."""


def decode(data: bytes, exif: bool = False) -> Pixels:
    """(H, W, 3) uint8 RGB; with `exif`, EXIF orientation is applied. UnreadableImage if it is not a photo."""
    if not exif or size_and_orientation(data)[1] == 1:
        pixels = _decode_plain_jpeg(data)
        if pixels is not None:
            return pixels
    with _reading(data) as image:
        return rgb(ImageOps.exif_transpose(image) if exif else image)


def rgb(image: Any) -> Pixels:
    """(H, W, 3) uint8 of any Pillow mode."""
    if image.mode == "F":
        raise UnreadableImage("32-bit floating-point image: its white level is unknown")
    if image.mode.startswith("I"):
        gray = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        return np.repeat(((gray + 128) // 257).astype(np.uint8)[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        photo = image.convert("RGBA")
        white = Image.new("RGBA", photo.size, "white")
        return np.array(Image.alpha_composite(white, photo).convert("RGB"))
    return np.array(image.convert("RGB"))


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """RGB pixels (H, W, 3) unchanged for 3 channels, or their luma (H, W, 1) for 1."""
    return pixels if channels == 3 else luma(pixels)[:, :, None]


def luma(pixels: Any) -> Any:
    """(...) brightness of RGB pixels (..., 3), weighted by `LUMA_WEIGHTS`.

    Takes arrays and tensors and returns the same type. uint8 arrays give uint8, the same values as Pillow's
    mode "L"; floating-point values may be in any range, which is kept.
    """
    if not isinstance(pixels, np.ndarray):
        return pixels @ pixels.new_tensor(LUMA_WEIGHTS)
    if pixels.dtype == np.uint8:
        red, green, blue = np.moveaxis(pixels.astype(np.uint32), -1, 0)
        # The weights in 65,536ths. They sum to one, so gray pixels keep their value.
        return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)
    return pixels @ np.asarray(LUMA_WEIGHTS, pixels.dtype)


def image_size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels as stored, from the header alone. UnreadableImage as for `decode`."""
    with _reading(data) as image:
        return image.size


def size_and_orientation(data: bytes) -> tuple[tuple[int, int], int]:
    """(width, height) as stored, and the EXIF orientation, 1 to 8; errors as for `image_size`."""
    with _reading(data) as image:
        return image.size, _orientation_of(image)


def is_photo(data: bytes) -> bool:
    """Whether the header is that of a supported photo."""
    try:
        image_size(data)
    except UnreadableImage:
        return False
    return True


def oddities(data: bytes, name: str = "") -> list[str]:
    """What is unusual about a photo, from its header alone; empty for an upright 8-bit RGB image.

    For example "gray", "CMYK", "palette", "16-bit", "alpha", "animated", "several pages", "EXIF orientation
    6", and "PNG named .JPEG" if the suffix of `name` is of another format. UnreadableImage if not even the
    header can be read.
    """
    with _reading(data) as image:
        found = [_MODE_NAMES[image.mode]] if image.mode in _MODE_NAMES else []
        if image.mode[0] in "IF" or (image.format == "PNG" and data[24] == 16):
            found.append("32-bit" if image.mode == "F" else "16-bit")
        if "A" in image.getbands() or "transparency" in image.info:
            found.append("alpha")
        if image.format in _SEVERAL and getattr(image, "is_animated", False):
            found.append(_SEVERAL[image.format])
        orientation = _orientation_of(image)
        if orientation > 1:
            found.append(f"EXIF orientation {orientation}")
        suffix = PurePosixPath(name).suffix
        if suffix and suffix.lower() not in _SUFFIXES_BY_FORMAT[image.format or "JPEG"]:
            found.append(f"{image.format} named {suffix}")
        return found


@contextmanager
def quiet() -> Generator[None]:
    """Silences Pillow's warnings. Enter it once around a whole pass, as it changes global settings."""
    logger = logging.getLogger("PIL")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def _decode_plain_jpeg(data: bytes) -> Pixels | None:
    """The pixels, or None for anything but an intact JPEG in RGB, YCbCr or gray."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        # simplejpeg converts CMYK too, but not like Pillow where Adobe stored it inverted.
        if space in ("CMYK", "YCCK") or int(height) * int(width) > MAX_PIXELS:
            return None
        return cast(Pixels, simplejpeg.decode_jpeg(data, fastdct=False, fastupsample=False))
    except ValueError:
        return None


@contextmanager
def _reading(data: bytes) -> Generator[Any]:
    """The lazily opened Pillow image; every decoding error inside becomes UnreadableImage."""
    if not data:
        raise UnreadableImage("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooManyPixels(f"{image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            yield image
    except Image.UnidentifiedImageError:
        raise NotAPhoto(f"not a photo: {len(data):,} bytes that start with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from error
    except _BROKEN as error:
        raise UnreadableImage(f"broken image: {error}") from error


def _orientation_of(image: Any) -> int:
    """1 to 8; 1 where it is missing or meaningless."""
    orientation = image.getexif().get(ORIENTATION_TAG, 1)
    return orientation if orientation in range(2, 9) else 1
