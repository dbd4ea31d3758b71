"""Photos that Pillow would read for many seconds, by their first bytes: what is odd in them is never a photo.

Pillow reads headers of netpbm byte by byte, and TIFF piece by piece, both in Python.
"""

from __future__ import annotations

import struct

from alexnet.data.netpbm import BrokenNetpbm, read_numbers

MAX_HEADER_BYTES = 65_536
"""Of netpbm, comments included."""
MAX_PIECES = 100_000
"""Strips or tiles of a TIFF; one of 50,000 rows in strips of one row has half as many."""
_PIECE_TAGS = (273, 324)
"""StripOffsets and TileOffsets."""
_ENTRY = {42: ("I", "H", 12, "I"), 43: ("Q", "Q", 20, "Q")}
"""Of TIFF and BigTIFF: the types of an offset and of the number of entries, the bytes of an entry, and the
type of its count."""


def slowness(data: bytes) -> str:
    """Why reading a photo would take long; empty for all others."""
    if data[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"):
        try:
            read_numbers(data[:MAX_HEADER_BYTES], 2 if data[1:2] in b"14" else 3)
        except BrokenNetpbm:
            return (
                f"no complete header in the first {MAX_HEADER_BYTES:,} bytes"
                if len(data) > MAX_HEADER_BYTES
                else ""
            )
    pieces = _tiff_pieces(data) if data[:2] in (b"II", b"MM") else 0
    return f"a TIFF of {pieces:,} pieces, more than {MAX_PIECES:,}" if pieces > MAX_PIECES else ""


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
