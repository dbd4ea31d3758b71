"""Encoded photo in, uint8 RGB out: simplejpeg for plain JPEG, Pillow for everything odd.

Pillow is the reference. simplejpeg gives the same pixels faster, and whatever it objects to gets a second
chance with Pillow. Photos end as three channels: gray is repeated, CMYK (Adobe's inverted kind too) and
palettes are converted, 16 bits are rescaled to 8, transparency is laid on white.
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

from alexnet.errors import DataError

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 178_956_970
"""Larger headers are taken for decompression bombs; Pillow's own limit of refusal."""

# Formats of photos only: Pillow would also start Ghostscript for EPS.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
_SUFFIXES = {
    "JPEG": (".jpeg", ".jpg", ".jpe", ".jfif"),
    "MPO": (".jpeg", ".jpg", ".mpo"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
_MODE_NAMES = {
    "1": "black and white",
    "L": "gray",
    "LA": "gray",
    "CMYK": "CMYK",
    "P": "palette",
    "PA": "palette",
}
_SEVERAL = {"GIF": "animated", "PNG": "animated", "WEBP": "animated", "TIFF": "several pages"}
_ORIENTATION = 0x0112

# What Pillow's readers were seen to raise on damaged files.
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
    """No photo in these bytes: empty, cut short, of another kind, or larger than `MAX_PIXELS`."""


class NotAPhoto(UnreadableImage):
    """No image format that is supported."""


class TooManyPixels(UnreadableImage):
    """More than `MAX_PIXELS`, or so its header says."""


def decode(data: bytes, exif: bool = False) -> Pixels:
    """(H, W, 3) uint8 RGB, with `exif` turned upright as the camera noted; else UnreadableImage."""
    if not exif or _orientation(data) == 1:
        pixels = _decode_plain_jpeg(data)
        if pixels is not None:
            return pixels
    with _reading(data) as image:
        return rgb(ImageOps.exif_transpose(image) if exif else image)


def image_size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels as stored, from the header alone."""
    with _reading(data) as image:
        return image.size


def oddities(data: bytes, name: str = "") -> list[str]:
    """What is unusual about a photo, from its header alone; empty for an upright 8-bit RGB image.

    Such as "gray", "CMYK", "palette", "16-bit", "alpha", "animated", "several pages", "EXIF orientation 6"
    and, when `name` is given and its ending says otherwise, "PNG named .JPEG". UnreadableImage where not even
    the header can be read.
    """
    with _reading(data) as image:
        found = [_MODE_NAMES[image.mode]] if image.mode in _MODE_NAMES else []
        if image.mode[0] in "IF" or (image.format == "PNG" and data[24] == 16):
            found.append("32-bit" if image.mode == "F" else "16-bit")
        if "A" in image.getbands() or "transparency" in image.info:
            found.append("alpha")
        if image.format in _SEVERAL and getattr(image, "is_animated", False):
            found.append(_SEVERAL[image.format])
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation in range(2, 9):
            found.append(f"EXIF orientation {orientation}")
        suffix = PurePosixPath(name).suffix
        if suffix and suffix.lower() not in _SUFFIXES[image.format or "JPEG"]:
            found.append(f"{image.format} named {suffix}")
        return found


@contextmanager
def quiet() -> Generator[None]:
    """Silences Pillow's remarks on odd files; enter it once around a whole pass: they are global settings."""
    remarks = logging.getLogger("PIL")
    level = remarks.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        remarks.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            remarks.setLevel(level)


def _decode_plain_jpeg(data: bytes) -> Pixels | None:
    """The pixels, or None for anything that is not a JPEG in RGB, YCbCr or gray without a flaw."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        # CMYK it would convert, but not as Pillow does where Adobe stored it inverted.
        if space in ("CMYK", "YCCK") or int(height) * int(width) > MAX_PIXELS:
            return None
        return cast(Pixels, simplejpeg.decode_jpeg(data, fastdct=False, fastupsample=False))
    except ValueError:
        return None


@contextmanager
def _reading(data: bytes) -> Generator[Any]:
    """The lazily opened Pillow image; all that goes wrong inside becomes UnreadableImage."""
    if not data:
        raise UnreadableImage("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooManyPixels(f"{image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            yield image
    except Image.UnidentifiedImageError:
        raise NotAPhoto(f"not a photo: {len(data):,} bytes starting with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from error
    except _BROKEN as error:
        raise UnreadableImage(f"broken image: {error}") from error


def _orientation(data: bytes) -> int:
    with _reading(data) as image:
        return image.getexif().get(_ORIENTATION, 1)


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """RGB pixels (H, W, 3) as they are, or for one channel their luma (H, W, 1), exactly Pillow's "L"."""
    if channels == 3:
        return pixels
    red, green, blue = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    # ITU-R 601-2 in 65,536ths; they sum to one, so gray pixels stay as they are.
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).astype(np.uint8)[:, :, None]


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
