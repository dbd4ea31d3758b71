"""Uploads: every kind of photo that is not a plain JPEG, and files that are not photos."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

SIZE = (90, 60)


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> Image.Image:
    """Smooth patches of color, brighter on the left."""
    patches = np.random.default_rng(seed).integers(0, 160, (4, 6, 3))
    patches[:, :3] += 90
    return Image.fromarray(patches.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def plain() -> bytes:
    return encoded(picture(), "JPEG", quality=95)


def truncated() -> bytes:
    whole = plain()
    return whole[: len(whole) // 2]


def truncated_png() -> bytes:
    whole = encoded(picture(), "PNG")
    return whole[: len(whole) // 2]


def animated_gif() -> bytes:
    return encoded(picture(), "GIF", save_all=True, append_images=[picture(1), picture(2)])


def animated_webp() -> bytes:
    return encoded(picture(), "WEBP", save_all=True, append_images=[picture(1)], lossless=True)


def animated_png() -> bytes:
    return encoded(picture(), "PNG", save_all=True, append_images=[picture(1)])


def pages_of_tiff() -> bytes:
    return encoded(picture(), "TIFF", save_all=True, append_images=[picture(1)])


def sixteen_bit() -> bytes:
    """A gray PNG of 16 bits."""
    gray = np.asarray(picture().convert("L"), np.uint16) * 257
    return encoded(Image.fromarray(gray), "PNG")


def cmyk() -> bytes:
    return encoded(picture().convert("CMYK"), "JPEG", quality=95)


def rotated() -> bytes:
    """Lying on its side, with the EXIF orientation that rotates it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def transparent() -> bytes:
    image = picture().convert("RGBA")
    image.putalpha(128)
    return encoded(image, "PNG")


def palette() -> bytes:
    return encoded(picture().quantize(16), "PNG")


def film() -> bytes:
    """The first bytes of one, which is all that is examined."""
    return struct.pack(">I", 24) + b"ftypisom" + bytes(500)


def svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def text() -> bytes:
    return b"Dear model, what is this?\n"


def empty() -> bytes:
    return b""


def too_many_pixels(side: int = 7_100) -> bytes:
    """A few hundred bytes whose header declares `side` x `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """More pixels than Pillow's own limit."""
    return too_many_pixels(60_000)


REFUSED: dict[Callable[[], bytes], tuple[int, str]] = {
    empty: (400, "nothing was sent"),
    text: (415, "not a photo"),
    svg: (415, "not a photo"),
    film: (415, "not a photo"),
    truncated: (422, "damaged or incomplete"),
    truncated_png: (422, "damaged or incomplete"),
    too_many_pixels: (413, "more than 50 million pixels"),
    bomb: (413, "more than 50 million pixels"),
}
"""Refused uploads, with the status and a part of the reason."""

ODD: dict[Callable[[], bytes], str] = {
    plain: "",
    animated_gif: "animation",
    animated_webp: "animation",
    animated_png: "animation",
    pages_of_tiff: "pages",
    sixteen_bit: "16 bits",
    cmyk: "CMYK",
    rotated: "upright",
    transparent: "transparent",
    palette: "palette",
}
"""Accepted uploads, with a part of the note."""
