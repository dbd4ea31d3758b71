"""Decodes photos to uint8 RGB: plain JPEGs with simplejpeg, everything else with Pillow.

Pillow is the reference. simplejpeg gives the same pixels faster, and what it rejects is decoded by Pillow.
The result has three channels: gray is repeated, CMYK (Adobe's inverted CMYK too) and palettes are converted,
more than 8 bits are rescaled (see `pillow_gaps`), and transparent pixels are composited on white. EXIF
orientation, 1 to 8, is how a photo as stored is turned to be upright, and its size and boxes with it.
"""

from __future__ import annotations

import functools
import importlib
import io
import logging
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, TiffImagePlugin, features

from alexnet.data.pillow_gaps import BrokenNetpbm, NoLevels, decode_netpbm, gray_8_bit, level_range, slowness
from alexnet.errors import DataError

Pixels = npt.NDArray[np.uint8]
"""(H, W, C) gray levels 0..255, RGB or gray; or a batch of such images, (N, H, W, C)."""
MAX_PIXELS = 178_956_970
"""Larger images are refused as decompression bombs; the limit is Pillow's own."""
MAX_SIDE = 65_535
"""Pixels; longer sides are refused. It is the limit of JPEG."""
MAX_ASPECT = 200
"""Largest ratio of the sides of a photo: resized by its shorter side, a longer strip would need gigabytes."""
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
    "HEIF": (".heic", ".heif", ".hif"),
    "AVIF": (".avif",),
}
# MPO, several JPEGs in one file, is opened as JPEG. Other formats of Pillow are no photos: EPS, for example,
# would start Ghostscript.
_FORMATS = tuple(name for name in _SUFFIXES_BY_FORMAT if name not in ("MPO", "HEIF", "AVIF"))
HEIC_SUFFIXES = _SUFFIXES_BY_FORMAT["HEIF"]
"""What telephones call photos that only the extra `heic` reads."""
INSTALL_HEIC = "install pillow-heif (pip install 'alexnet[heic]') or convert them to JPEG"
_BRANDS = {
    "AVIF": (b"avif", b"avis"),
    "HEIF": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"),
}
"""In the first box of an ISO media file."""
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
_MAX_BRANDS = 256
"""Bytes in which the brands of an ISO media file are searched."""
_BITS_PER_SAMPLE = 258
_NEARLY_BLACK = 16
"""Of 255: the brightest that 12 bits in 16 can be."""
_SEVERAL = {"GIF": "animated", "PNG": "animated", "WEBP": "animated", "TIFF": "several pages"}
# Gray TIFFs that Pillow can decode but does not list: white is zero, 12 bits, 64-bit floating point.
# Byte order, sample format and bits per sample; Pillow's mode and raw mode.
_MORE_TIFFS = (
    (b"II", 1, 12, "I;16", "I;12"),
    (b"II", 1, 16, "I;16", "I;16"),
    (b"II", 2, 16, "I", "I;16S"),
    (b"II", 1, 32, "I", "I;32N"),
    (b"II", 2, 32, "I", "I;32S"),
    (b"II", 3, 64, "F", "F;64F"),
    (b"MM", 1, 12, "I;16", "I;12"),
    (b"MM", 1, 16, "I;16B", "I;16B"),
    (b"MM", 2, 16, "I", "I;16BS"),
    (b"MM", 1, 32, "I", "I;32B"),
    (b"MM", 2, 32, "I", "I;32BS"),
    (b"MM", 3, 64, "F", "F;64BF"),
)
for _order, _form, _bits_each, _mode, _raw in _MORE_TIFFS:
    for _white in (0, 1):
        TiffImagePlugin.OPEN_INFO.setdefault((_order, _white, (_form,), 1, (_bits_each,), ()), (_mode, _raw))
_NATIVE_RAW_MODES = (
    {"I;16BS": "I;16S", "I;32B": "I;32N", "I;32BS": "I;32S", "F;32BF": "F;32F", "F;64BF": "F;64F"}
    if sys.byteorder == "little"
    else {}
)
"""libtiff returns numbers in the machine's byte order, which Pillow does not consider for these."""
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
_BROKEN = (*_DAMAGE, RuntimeError, struct.error, zlib.error)
ORIENTATION_TAG = 0x0112
"""Of EXIF and TIFF."""
_BoxCorners = tuple[float, float, float, float]
"""x0, y0, x1, y1 in fractions of a photo."""
_POINTS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""Where a point of the stored photo is in the upright one."""
_INVERSE = {6: 8, 8: 6}


class UnreadableImage(DataError):  # noqa: N818 - reads as what it is
    """Not a readable photo: empty, cut short, of another format, or of a size that `check_size` refuses."""


class NotAPhoto(UnreadableImage):
    """Not in a supported image format."""


class NoDecoder(UnreadableImage):
    """A HEIC or AVIF photo, which needs a library that is not installed."""


class TooManyPixels(UnreadableImage):
    """More than `MAX_PIXELS`, or a side of more than `MAX_SIDE`, according to its header."""


class TooNarrow(UnreadableImage):
    """One side is more than `MAX_ASPECT` times the other, according to its header."""


def check_size(width: int, height: int) -> None:
    """TooManyPixels or TooNarrow for a photo of extreme size or shape; UnreadableImage without pixels.

    Every photo is checked before it is decoded.
    """
    if min(width, height) < 1:
        raise UnreadableImage(f"{width}x{height} pixels")
    if width * height > MAX_PIXELS:
        raise TooManyPixels(f"{width}x{height} pixels, more than {MAX_PIXELS:,}")
    if max(width, height) > MAX_SIDE:
        raise TooManyPixels(f"{width}x{height} pixels, a side of more than {MAX_SIDE:,}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise TooNarrow(f"{width}x{height} pixels: one side is more than {MAX_ASPECT} times the other")


def decode(data: bytes, exif: bool = False) -> Pixels:
    """(H, W, 3) uint8 RGB; with `exif`, EXIF orientation is applied. UnreadableImage if it is not a photo."""
    orientation = read_header(data).orientation if exif else 1
    pixels = _decode_plain_jpeg(data)
    if pixels is None and not slowness(data):
        pixels = _decode_netpbm(data)
    if pixels is None:
        with _reading(data) as image:
            pixels = rgb(image)
    return turn_pixels(pixels, orientation) if orientation > 1 else pixels


def rgb(image: Any) -> Pixels:
    """(H, W, 3) uint8 of any Pillow mode, as stored."""
    if image.mode[0] in "IF":
        try:
            gray = gray_8_bit(_levels(image), _tiff_tags(image))
        except NoLevels as error:
            raise UnreadableImage(str(error)) from error
        return np.repeat(gray[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        photo = image.convert("RGBA")
        white = Image.new("RGBA", photo.size, "white")
        return np.array(Image.alpha_composite(white, photo).convert("RGB"))
    return np.array(image.convert("RGB"))


ONE_COLOR = "of one color"


def is_one_color(pixels: Pixels) -> bool:
    """Whether all pixels (H, W, C) are equal."""
    height, width, _ = pixels.shape
    return np.array_equal(pixels[0, 0], pixels[height // 2, width // 2]) and bool(
        (pixels == pixels[0, 0]).all()
    )


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


class PhotoHeader(NamedTuple):
    """The size and orientation of a photo."""

    size: tuple[int, int]
    """(width, height) in pixels of what `decode` returns without `exif`."""
    orientation: int
    """The EXIF orientation, 1 to 8, that `decode` applies with `exif`."""
    applied: int
    """The orientation that is always applied: that of TIFF is part of the format."""


def read_header(data: bytes) -> PhotoHeader:
    """Size and orientation. UnreadableImage as for `decode`.

    From the header alone, except for PNG, whose EXIF may come last.
    """
    with _reading(data) as image:
        orientation = orientation_of(image)
        always = image.format == "TIFF"
        return PhotoHeader(image.size, 1 if always else orientation, orientation if always else 1)


def image_size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels of what `decode` returns without `exif`; errors as for `read_header`."""
    with _reading(data) as image:
        return image.size


def is_photo(data: bytes) -> bool:
    """Whether the header is that of a supported photo."""
    try:
        image_size(data)
    except UnreadableImage:
        return False
    return True


def oddities(data: bytes, name: str = "") -> list[str]:
    """What is unusual about a photo; empty for an upright 8-bit RGB image.

    For example "gray", "CMYK", "palette", "16-bit", "alpha", "animated", "several pages", "EXIF orientation
    6", and "PNG named .JPEG" if the suffix of `name` is of another format. From its header alone, but for
    photos of more than 8 bits: how their range was found may depend on their pixels. UnreadableImage if it
    cannot be read.
    """
    with _reading(data) as image:
        found = [_MODE_NAMES[image.mode]] if image.mode in _MODE_NAMES else []
        bits = _bits(image, data)
        if bits > 8:
            found += [f"{bits}-bit", *_range_notes(image)]
        if "A" in image.getbands() or "transparency" in image.info:
            found.append("alpha")
        if image.format in _SEVERAL and getattr(image, "is_animated", False):
            found.append(_SEVERAL[image.format])
        orientation = orientation_of(image)
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
        check_size(int(width), int(height))
        if space in ("CMYK", "YCCK"):
            return None
        return cast(Pixels, simplejpeg.decode_jpeg(data, fastdct=False, fastupsample=False))
    except DataError:
        raise
    except ValueError:
        return None


@contextmanager
def _reading(data: bytes) -> Generator[Any]:
    """The lazily opened Pillow image; every decoding error inside becomes UnreadableImage."""
    if not data:
        raise UnreadableImage("empty file")
    slow = slowness(data)
    if slow:
        raise UnreadableImage(slow)
    formats = _media_formats(data) if data[4:8] == b"ftyp" else _FORMATS
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            check_size(image.width, image.height)
            yield image
    except Image.UnidentifiedImageError:
        raise NotAPhoto(f"not a photo: {len(data):,} bytes that start with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from error
    except _BROKEN as error:
        raise UnreadableImage(f"broken image: {error}") from error


def _media_formats(data: bytes) -> tuple[str, ...]:
    """The formats to open an ISO media file with; NoDecoder if its decoder is missing."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), _MAX_BRANDS)]
    form = next((form for form, own in _BRANDS.items() if any(brand in brands for brand in own)), None)
    if form == "AVIF" and not features.check("avif"):
        raise NoDecoder("an AVIF photo: install Pillow 11.3 or later, or convert it to JPEG")
    if form == "HEIF" and not heic_is_readable():
        raise NoDecoder(f"a HEIC photo: {INSTALL_HEIC}")
    return (form,) if form else _FORMATS


@functools.cache
def heic_is_readable() -> bool:
    """Whether the extra `heic` is installed."""
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        return False
    heif.register_heif_opener()
    return True


def _decode_netpbm(data: bytes) -> Pixels | None:
    """(H, W, 3) of the forms that Pillow decodes slowly; None for all others."""
    try:
        levels = decode_netpbm(data, MAX_PIXELS)
    except BrokenNetpbm as error:
        raise UnreadableImage(f"broken image: {error}") from error
    if levels is None:
        return None
    height, width, _ = levels.shape
    check_size(width, height)
    return np.broadcast_to(levels, (height, width, 3)).copy()


def _levels(image: Any) -> npt.NDArray[Any]:
    """(H, W) the values of a gray image of more than 8 bits."""
    tiles: list[Any] = getattr(image, "tile", [])
    for number, tile in enumerate(tiles):
        if tile.codec_name == "libtiff":
            raw_mode, *others = tile.args
            tiles[number] = tile._replace(args=(_NATIVE_RAW_MODES.get(raw_mode, raw_mode), *others))
    return np.asarray(image)


def _tiff_tags(image: Any) -> Mapping[int, Any]:
    """A TIFF's tags; of other forms those of their full range, as their standards say."""
    if image.format == "PPM" and image.mode == "I":
        return {280: 0, 281: 65535}  # Pillow rescales to 16 bits
    return getattr(image, "tag_v2", {})


def _bits(image: Any, data: bytes) -> int:
    """Bits per channel."""
    if image.format == "PNG":
        return data[24] if len(data) > 24 else 8
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, 8)
        return int(max(bits) if isinstance(bits, tuple) else bits)
    return {"I": 16, "F": 32}.get(image.mode[0], 8)


def _range_notes(image: Any) -> list[str]:
    """How the range of an image of more than 8 bits was found, unless its bits or its form decide."""
    if image.mode[0] not in "IF":
        # Pillow keeps the upper 8 of 16 bits in color.
        brightest = max(high for _, high in np.atleast_2d(image.getextrema()))
        return ["nearly black in 16 bits"] if 0 < brightest < _NEARLY_BLACK else []
    if image.format == "PPM":
        return []
    found = level_range(_levels(image), _tiff_tags(image))
    if found.found == "bits":
        return []
    return [f"with range by its {found.found}{f' ({found.bits} bits)' if found.bits else ''}"]


def orientation_of(image: Any) -> int:
    """The EXIF orientation of a Pillow image, 1 to 8; 1 where it is missing or meaningless."""
    orientation = image.getexif().get(ORIENTATION_TAG, 1)
    return orientation if orientation in range(2, 9) else 1


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation >= 5


def turn_pixels(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """The upright pixels of stored ones, (H, W, C) or (W, H, C)."""
    if swaps_sides(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def turn_box(corners: _BoxCorners, orientation: int) -> _BoxCorners:
    """A box of the stored photo in the upright one."""
    x0, y0, x1, y1 = corners
    (left, top), (right, bottom) = (_POINTS[orientation](x, y) for x, y in ((x0, y0), (x1, y1)))
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def turn_box_back(corners: _BoxCorners, orientation: int) -> _BoxCorners:
    """A box of the upright photo in the stored one."""
    return turn_box(corners, _INVERSE.get(orientation, orientation))
