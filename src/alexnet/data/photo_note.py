"""What a store remembers of each photo of its source: enough to find copies, and to notice changes."""

from __future__ import annotations

import hashlib
import zlib
from typing import NamedTuple

import numpy as np

from alexnet.data.decode import Pixels
from alexnet.data.sources.base import Example


class PhotoNote(NamedTuple):
    """One photo of the source, readable or not."""

    key: str
    label: int
    stamp: str
    """Sizes and times of its files, as `Stamped` gives them; empty if unknown."""
    content: str
    """Hash of its bytes and boxes; empty if there are none."""
    pixels: str = ""
    """Hash of its decoded pixels; empty if it is unreadable."""


_HASH_DIGITS = 32
"""Of SHA-256, in hexadecimal: 128 bits."""


def content_hash(example: Example) -> str:
    """Hash of everything but key and label that a record is made from: the file and its boxes."""
    digest = hashlib.sha256(example.image)
    digest.update(repr((example.boxes, example.odd)).encode())
    return digest.hexdigest()[:_HASH_DIGITS]


_WORDS = 1 << 17
_WEIGHTS = np.random.PCG64(2012).random_raw(_WORDS) | np.uint64(1)
_FACTOR, _MODULUS = 0x9E3779B97F4A7C15, 1 << 64


def pixels_hash(photo: Pixels) -> str:
    """Hash of size and pixels of a decoded photo (H, W, C).

    CRC-32, which differs for all photos that differ in one place, and a sum of all pixels, eight at a time,
    with random weights modulo 2^64. A cryptographic hash would take a tenth of the time of `prepare`.
    """
    values = np.ascontiguousarray(photo).reshape(-1)
    whole = values[: len(values) // 8 * 8].view(np.uint64)
    total = int.from_bytes(values[8 * len(whole) :].tobytes())
    for start in range(0, len(whole), _WORDS):
        words = whole[start : start + _WORDS]
        total = (total * _FACTOR + int(np.dot(words, _WEIGHTS[: len(words)]))) % _MODULUS
    return f"{'x'.join(map(str, photo.shape))}-{zlib.crc32(values.data):08x}{total:016x}"
