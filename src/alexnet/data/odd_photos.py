"""JPEG files, and the odd kinds of file that ImageNet is known to hold among them."""

from __future__ import annotations

import io

from PIL import Image

ODD_KINDS = {"CMYK": 2, "PNG": 2, "grey": 4, "EXIF-rotated": 4, "truncated": 1}
"""How many training photos of a made-up data set are made odd, by kind. Truncated ones cannot be read."""

_ORIENTATION, _TURN_RIGHT = 0x0112, 6
"""The EXIF tag that tells how the camera was held, and its value for "turn me a quarter to the right"."""


def encode(photo: Image.Image, quality: int, kind: str = "") -> bytes:
    """The photo as a JPEG file of this quality (1..95), or as an odd file of a kind named in `ODD_KINDS`.

    `EXIF-rotated` lies on its side with a note to turn it; `truncated` lacks its second half.
    """
    exif = Image.Exif()
    if kind == "CMYK":
        photo = photo.convert("CMYK")
    elif kind == "grey":
        photo = photo.convert("L")
    elif kind == "EXIF-rotated":
        photo = photo.transpose(Image.Transpose.ROTATE_90)
        exif[_ORIENTATION] = _TURN_RIGHT
    file = io.BytesIO()
    photo.save(file, "PNG" if kind == "PNG" else "JPEG", quality=quality, exif=exif)
    data = file.getvalue()
    return data[: len(data) // 2] if kind == "truncated" else data
