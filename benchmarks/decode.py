"""Decoding speed compared with Pillow's, on one core and with equal pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from alexnet.data.decode import Pixels, decode
from alexnet.data.sources import Source
from benchmarks.timing import Measurement, median_seconds

PHOTOS = 200


def measure(source: Source) -> list[Measurement]:
    """Photos per second, for the first photos of the source, from memory."""
    photos = first_photos(source)

    def ours() -> None:
        for photo in photos:
            decode(photo)

    def pillow() -> None:
        for photo in photos:
            decode_with_pillow(photo)

    seconds = median_seconds({"ours": ours, "Pillow": pillow})
    rate, peer = (len(photos) / seconds[name] for name in ("ours", "Pillow"))
    differ = [np.abs(decode(photo).astype(int) - decode_with_pillow(photo)).mean() for photo in photos]
    return [
        Measurement("decode", "decode", rate, "images/s", "Pillow", rate / peer, ">= 1.1"),
        Measurement("decode", "Pillow", peer, "images/s"),
        Measurement("decode", "mean difference to Pillow", float(np.mean(differ)), "gray levels"),
    ]


def first_photos(source: Source) -> list[bytes]:
    """The first encoded photos of the first split."""
    split = next(iter(source.splits.values()))
    return [split[index].image for index in range(min(PHOTOS, len(split)))]


def decode_with_pillow(photo: bytes) -> Pixels:
    """(height, width, 3), as most programs decode."""
    with Image.open(io.BytesIO(photo)) as image:
        return np.asarray(image.convert("RGB"))
