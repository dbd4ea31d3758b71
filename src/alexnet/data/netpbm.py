"""Netpbm's forms that Pillow decodes in Python, pixel by pixel: text, and other ranges than 0..255.

A file of 20 MB takes Pillow a minute, and this module a second.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

_TOKEN = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*+([0-9]+)")
_COMMENT = re.compile(rb"#[^\r\n]*")
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_TEXT = (b"P1", b"P2", b"P3")
_MAX_LEVEL = 65535


class BrokenNetpbm(ValueError):  # noqa: N818 - what the file is
    """A file of one of these forms that is damaged."""


def decode_netpbm(data: bytes, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """(H, W, 1) gray or (H, W, 3) RGB levels; None for any other form, and for 0..255 in bytes.

    BrokenNetpbm if it is damaged or has more than `max_pixels`.
    """
    magic = data[:2]
    if magic not in _CHANNELS or not data[2:3].isspace():
        return None
    (width, height, *maxima), position = read_numbers(data, 2 if magic == b"P1" else 3)
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


def read_numbers(data: bytes, count: int) -> tuple[list[int], int]:
    """The numbers of a header, and the position after them; BrokenNetpbm if there are not so many."""
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
        raise BrokenNetpbm("a level that is no number")
    if digits:
        found = np.frombuffer(text.translate(None, b" \t\r\n\v\f"), np.uint8)[:count]
        return found.astype(np.int64) - ord("0")
    text = text.strip()
    return np.fromstring(text, np.int64, count=-1, sep=" ")[:count] if text else np.empty(0, np.int64)
