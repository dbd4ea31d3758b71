"""Request bodies as photos, or the reason for refusing them. Nothing here touches the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass

from alexnet.data.decode import (
    NoDecoder,
    NotAPhoto,
    Pixels,
    TooManyPixels,
    UnreadableImage,
    decode,
    image_size,
    oddities,
)

MAX_BYTES = 20 * 2**20
MAX_UPLOAD_PIXELS = 50_000_000
MAX_RLE_BYTES = 4 * 2**20
"""Of a BMP with run-length encoding, which Pillow decodes run by run: half a second a megabyte."""
NOTED_ENLARGEMENT = 4
"""A photo whose shorter side is enlarged more than this many times gets a note."""
RECEIVING_SECONDS = 60
"""How long a client may take to send one photo."""

FORMATS = "JPEG, PNG, GIF, BMP, WebP, TIFF, PPM, AVIF and HEIC"
_RLE = (b"\1\0\0\0", b"\2\0\0\0")
"""In a BMP's header: runs of 8 or 4 bits per pixel."""
_DRAINED_BYTES = 10 * MAX_BYTES
"""How much of an oversized body is still read and discarded: a client that is cut off would not see the
reason."""

_NOTES = {
    "gray": "a gray photo",
    "black and white": "a black and white image",
    "CMYK": "made for print (CMYK): its colors were converted",
    "palette": "colors from a palette",
    "12-bit": "12 bits per pixel: rounded to 8",
    "16-bit": "16 bits per color: rounded to 8",
    "32-bit": "32 bits per pixel: rounded to 8",
    "64-bit": "64 bits per pixel: rounded to 8",
    "alpha": "partly transparent: composited on white",
    "animated": "an animation: only the first frame is used",
    "several pages": "several pages: only the first is used",
    **{f"EXIF orientation {number}": "turned upright by its EXIF orientation" for number in range(2, 9)},
}


class Refused(Exception):  # noqa: N818 - a response, not a failure
    """The response is this HTTP status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class UploadedPhoto:
    """An upright photo: `pixels` (H, W, 3) uint8 RGB, and sentences on unusual properties of the file."""

    pixels: Pixels
    notes: list[str]


async def receive(chunks: AsyncIterable[bytes], max_bytes: int = MAX_BYTES) -> bytes:
    """The whole body of a request; Refused if it is longer (413) or takes too long (408)."""
    body, length = bytearray(), 0
    try:
        async with asyncio.timeout(RECEIVING_SECONDS):
            async for chunk in chunks:
                length += len(chunk)
                if length <= max_bytes:
                    body += chunk
                elif length > _DRAINED_BYTES:
                    break
    except TimeoutError:
        raise Refused(408, f"the photo did not arrive within {RECEIVING_SECONDS} seconds") from None
    if length > max_bytes:
        raise Refused(413, f"the photo is larger than {megabytes(max_bytes)}: send a smaller one")
    return bytes(body)


def read_upload(data: bytes) -> UploadedPhoto:
    """The photo in these bytes, decoded as the command line decodes a file.

    Refused: 400 for an empty body, 413 for more than `MAX_UPLOAD_PIXELS`, 415 for anything but a photo, 422
    for a damaged or truncated one.
    """
    if not data:
        raise Refused(400, "nothing was sent: send the photo itself as the body of the request")
    if data[:2] == b"BM" and data[30:34] in _RLE and len(data) > MAX_RLE_BYTES:
        most = megabytes(MAX_RLE_BYTES)
        raise Refused(413, f"a BMP of run-length encoding of more than {most}: send it as PNG or JPEG")
    try:
        width, height = image_size(data)
        if width * height > MAX_UPLOAD_PIXELS:
            raise TooManyPixels
        return UploadedPhoto(decode(data, exif=True), notes_of(oddities(data)))
    except TooManyPixels:
        most = f"{MAX_UPLOAD_PIXELS / 1e6:.0f} million"
        raise Refused(413, f"the photo has more than {most} pixels: send a smaller one") from None
    except NoDecoder:
        raise Refused(415, "this server reads no HEIC and AVIF photos: send it as JPEG") from None
    except NotAPhoto:
        raise Refused(415, f"this is not a photo: only {FORMATS} are supported") from None
    except UnreadableImage as error:
        raise Refused(422, f"the photo is damaged or incomplete ({error}): send another copy") from None


def notes_of(found: list[str]) -> list[str]:
    """The findings of `oddities` as sentences for the client."""
    return [_NOTES[each] for each in found if each in _NOTES]


def size_notes(enlargement: float) -> list[str]:
    """A note where a photo has so few pixels that it is enlarged a lot."""
    if enlargement <= NOTED_ENLARGEMENT:
        return []
    return [f"its shorter side was enlarged {enlargement:.0f} times for the model"]


def megabytes(count: int) -> str:
    """Text such as `20 MB`."""
    return f"{count / 2**20:.0f} MB"
