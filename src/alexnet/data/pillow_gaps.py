"""Photos that Pillow reads differently from a viewer, or too slowly.

- Gray images of more than 8 bits become 8-bit levels, as an image viewer displays them. Their range is that
  of the file's own tags, else that of their bits, else that of the values: many cameras, microscopes and
  scanners write 10, 12 or 14 bits into 16.
- Netpbm's forms that Pillow decodes in Python, pixel by pixel (text, and other ranges than 0..255), are
  decoded here: a file of 20 MB takes Pillow a minute, and this module a second.
- Headers of netpbm are read byte by byte, and TIFF piece by piece, both in Python: files that would take many
  seconds are refused by `slowness`. What is odd in them is never a photo.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

_BITS, _PHOTOMETRIC, _FORMAT = 258, 262, 339
_RANGES = ((340, 341), (280, 281))
"""SMinSampleValue and SMaxSampleValue, MinSampleValue and MaxSampleValue."""
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_USUAL_BITS = (8, 10, 12, 14)
"""Of values in 16-bit files; with more, the range is that of 16 bits."""
_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*+([0-9]+)")
_COMMENT = re.compile(rb"#[^\r\n]*")
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_TEXT = (b"P1", b"P2", b"P3")
_MAX_LEVEL = 65535
_MAX_HEADER_BYTES = 65_536
"""Of netpbm, comments included."""
_MAX_PIECES = 100_000
"""Strips or tiles of a TIFF; one of 50,000 rows in strips of one row has half as many."""
_PIECE_TAGS = (273, 324)
"""StripOffsets and TileOffsets."""
_ENTRY = {42: ("I", "H", 12, "I"), 43: ("Q", "Q", 20, "Q")}
"""Of TIFF and BigTIFF: the types of an offset and of the number of entries, the bytes of an entry, and the
type of its count."""


class LevelRange(NamedTuple):
    """The values that become 0 and 255; `low` is the larger one where white is zero."""

    low: float
    high: float
    found: Literal["tags", "bits", "values"]
    """Where the range comes from; `bits` if the number of bits per pixel decides."""
    bits: int = 0
    """With `values`: the number of bits that hold them, if the range is that of these bits."""


class NoLevels(ValueError):  # noqa: N818 - what is missing
    """An image without one finite value."""


def gray_8_bit(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> npt.NDArray[np.uint8]:
    """(...) 0..255 of values (...) of any type; `tags` are those of TIFF, empty for other files."""
    low, high, _, _ = level_range(values, tags)
    scaled = (_whole(values, tags).astype(np.float64) - low) * (255 / (high - low))
    return np.clip(np.floor(np.nan_to_num(scaled) + 0.5), 0, 255).astype(np.uint8)


def level_range(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> LevelRange:
    """The range of the values; NoLevels if none of them is finite."""
    found = _tagged(tags) or _of_values(_whole(values, tags), tags)
    if found.low == found.high:
        found = found._replace(high=found.low + 1)
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return found._replace(low=found.high, high=found.low) if white_is_zero else found


def _tagged(tags: Mapping[int, Any]) -> LevelRange | None:
    for names in _RANGES:
        low, high = (_first(tags.get(name)) for name in names)
        if low is not None and high is not None and np.isfinite([low, high]).all() and low < high:
            return LevelRange(low, high, "tags")
    return None


def _of_values(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> LevelRange:
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise NoLevels("no finite gray level")
    low, high = float(finite.min()), float(finite.max())
    if values.dtype.kind == "f":
        usual = next((top for top in (1.0, 255.0) if low >= 0 and high <= top), None)
        return LevelRange(0.0, usual, "values") if usual else LevelRange(low, high, "values")
    bits = int(_first(tags.get(_BITS)) or 0)
    unsigned = (_first(tags.get(_FORMAT)) or _UNSIGNED) == _UNSIGNED
    if unsigned and 8 < bits < 16:
        return LevelRange(0.0, 2.0**bits - 1, "bits")
    whole = LevelRange(0.0, 2.0**16 - 1 if unsigned else 2.0**15 - 1, "bits")
    if low == high == 0:
        return whole
    if low < 0 or high >= 2**16:
        return LevelRange(low, high, "values")
    used = next((each for each in _USUAL_BITS if high < 2**each), 16)
    if used < 16:
        return LevelRange(0.0, 2.0**used - 1, "values", used)
    return whole


def _whole(values: npt.NDArray[Any], tags: Mapping[int, Any]) -> npt.NDArray[Any]:
    """The values; unsigned ones of 32 bits, which Pillow reads as signed, as they are."""
    unsigned = _first(tags.get(_BITS)) == 32 and (_first(tags.get(_FORMAT)) or _UNSIGNED) == _UNSIGNED
    return values.view(np.uint32) if unsigned and values.dtype == np.int32 else values


def _first(value: Any) -> float | None:
    """The first number of a tag's value; None if it has none."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


class BrokenNetpbm(ValueError):  # noqa: N818 - what the file is
    """A file of one of these forms that is damaged."""


def decode_netpbm(data: bytes, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """(H, W, 1) gray or (H, W, 3) RGB levels; None for any other form, and for 0..255 in bytes.

    BrokenNetpbm if it is damaged or has more than `max_pixels`.
    """
    magic = data[:2]
    if magic not in _CHANNELS or not data[2:3].isspace():
        return None
    (width, height, *maxima), position = _read_numbers(data, 2 if magic == b"P1" else 3)
    maximum = maxima[0] if maxima else 1
    if magic not in _TEXT and maximum == 255:
        return None
    if not (width and height and width * height <= max_pixels and 0 < maximum <= _MAX_LEVEL):
        raise BrokenNetpbm(f"{width}x{height} pixels with levels up to {maximum}")
    count = width * height * _CHANNELS[magic]
    if magic in _TEXT:
        levels = _text_levels(data[position:], count, digits=magic == b"P1")
    else:
        kind = np.dtype(np.uint8 if maximum < 256 else ">u2")
        rest = memoryview(data)[position + 1 :]
        levels = (
            np.frombuffer(rest, kind, min(count, len(rest) // kind.itemsize)) if rest else np.empty(0, kind)
        )
    if len(levels) < count:
        raise BrokenNetpbm(f"truncated: {len(levels):,} of {count:,} levels")
    if levels.max() > maximum or levels.min() < 0:
        raise BrokenNetpbm(f"a level outside 0..{maximum}")
    table = np.rint(np.arange(maximum + 1) / maximum * 255).astype(np.uint8)
    scaled = table[levels].reshape(height, width, -1)
    return 255 - scaled if magic == b"P1" else scaled


def _read_numbers(data: bytes, count: int) -> tuple[list[int], int]:
    """The numbers of a header, and the position after them.

    BrokenNetpbm if the header has fewer than `count` numbers.
    """
    found: list[int] = []
    position = 2
    while len(found) < count:
        match = _TOKEN.match(data, position)
        if match is None or len(match[1]) > 9:
            raise BrokenNetpbm("a header without numbers")
        found.append(int(match[1]))
        position = match.end()
    return found, position


def _text_levels(text: bytes, count: int, digits: bool) -> npt.NDArray[np.int64]:
    """Up to `count` numbers separated by blanks; with `digits` each digit is one."""
    text = _COMMENT.sub(b" ", text) if b"#" in text else text
    if text.translate(None, b"0123456789 \t\r\n\v\f"):
        raise BrokenNetpbm("a level that is not a number")
    if digits:
        found = np.frombuffer(text.translate(None, b" \t\r\n\v\f"), np.uint8)[:count]
        return found.astype(np.int64) - ord("0")
    text = text.strip()
    return np.fromstring(text, np.int64, count=-1, sep=" ")[:count] if text else np.empty(0, np.int64)


def slowness(data: bytes) -> str:
    """Why reading a photo would take long; empty for all others."""
    if data[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"):
        try:
            _read_numbers(data[:_MAX_HEADER_BYTES], 2 if data[1:2] in b"14" else 3)
        except BrokenNetpbm:
            return (
                f"no complete header in the first {_MAX_HEADER_BYTES:,} bytes"
                if len(data) > _MAX_HEADER_BYTES
                else ""
            )
    pieces = _tiff_pieces(data) if data[:2] in (b"II", b"MM") else 0
    return f"a TIFF of {pieces:,} pieces, more than {_MAX_PIECES:,}" if pieces > _MAX_PIECES else ""


def _tiff_pieces(data: bytes) -> int:
    """The number of strips or tiles of the first page; 0 where the header is damaged."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (version,) = struct.unpack_from(order + "H", data, 2)
        offset_type, number_type, entry_bytes, count_type = _ENTRY[version]
        (start,) = struct.unpack_from(order + offset_type, data, 4 if version == 42 else 8)
        (entries,) = struct.unpack_from(order + number_type, data, start)
        start += struct.calcsize(number_type)
        most = 0
        for entry in range(start, start + min(entries, 4096) * entry_bytes, entry_bytes):
            tag, _, count = struct.unpack_from(f"{order}HH{count_type}", data, entry)
            most = max(most, count if tag in _PIECE_TAGS else 0)
    except (struct.error, KeyError, OverflowError):
        return 0
    return most
