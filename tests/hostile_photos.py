"""Small files of photos of extreme size or shape."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A gray PNG with that size in its header; `rows` is its data before compression."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def encoded(width: int, height: int, form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 128, np.uint8)).save(file, form)
    return file.getvalue()


def tall_jpeg() -> bytes:
    return encoded(1, 65_000, "JPEG")


def wide_jpeg() -> bytes:
    return encoded(65_000, 1, "JPEG")


def tall_png() -> bytes:
    """74 bytes that take 26 s to decode."""
    return png_of(1, 49_999_999)


def wide_webp() -> bytes:
    return encoded(16_000, 2, "WEBP")


def tall_pgm() -> bytes:
    return b"P5 1 1000 200\n" + bytes(1000)


def bomb() -> bytes:
    return png_of(60_000, 60_000)


def long_side() -> bytes:
    return png_of(70_000, 500)


EXTREME = (tall_jpeg, wide_jpeg, tall_png, wide_webp, tall_pgm, bomb, long_side)
