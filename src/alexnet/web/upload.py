"""What a client sends, as a photo or as a plain reason why not. Nothing here touches the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import dataclass

from alexnet.data.decode import Pixels, TooManyPixels, UnreadableImage, decode, image_size, oddities

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000
FAR = 4
"""A photo that is enlarged more often for the net is remarked on."""
RECEIVING_SECONDS = 60
"""How long a client may take to send one photo."""

FORMS = "JPEG, PNG, GIF, BMP, WebP, TIFF and PPM"
_DRAINED_BYTES = 10 * MAX_BYTES
"""So much of what is too large is still read and thrown away: who is cut off does not hear why."""

_IN_WORDS = {
    "gray": "a gray photo",
    "black and white": "a black and white picture",
    "CMYK": "made for print (CMYK): its colors were converted",
    "palette": "colors from a palette",
    "16-bit": "16 bits a color: rounded to 8",
    "alpha": "partly transparent: laid on white",
    "animated": "an animation: only its first picture was looked at",
    "several pages": "several pages: only the first was looked at",
}


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """The request is answered with this HTTP status and sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright photo: `pixels` (H, W, 3) uint8 RGB, and what was unusual about the file, in words."""

    pixels: Pixels
    notes: list[str]


async def receive(chunks: AsyncIterable[bytes], most: int = MAX_BYTES) -> bytes:
    """The whole body of a request; Refused (413) where it is longer, (408) where it takes too long."""
    body, length = bytearray(), 0
    try:
        async with asyncio.timeout(RECEIVING_SECONDS):
            async for chunk in chunks:
                length += len(chunk)
                if length <= most:
                    body += chunk
                elif length > _DRAINED_BYTES:
                    break
    except TimeoutError:
        raise Refused(408, f"the photo did not arrive within {RECEIVING_SECONDS} seconds") from None
    if length > most:
        raise Refused(413, f"the photo is larger than {megabytes(most)}: send a smaller one")
    return bytes(body)


def read_photo(data: bytes) -> Photo:
    """The photo in these bytes, as `predict` would read it from a file.

    Refused: 400 where there is nothing, 413 for more than `MAX_PIXELS`, 415 for what is not a photo, 422 for
    one that is broken or cut short.
    """
    if not data:
        raise Refused(400, "nothing was sent: send the photo itself as the body of the request")
    try:
        width, height = image_size(data)
        if width * height > MAX_PIXELS:
            raise TooManyPixels
        return Photo(decode(data, exif=True), notes_of(oddities(data)))
    except TooManyPixels:
        most = f"{MAX_PIXELS / 1e6:.0f} million"
        raise Refused(413, f"the photo has more than {most} pixels: send a smaller one") from None
    except UnreadableImage as error:
        raise _refusal(data, str(error)) from None


def notes_of(found: list[str]) -> list[str]:
    """What `oddities` found, in words for whoever sent the photo."""
    turned = ["turned upright, as the camera noted" for each in found if each.startswith("EXIF")]
    return [_IN_WORDS[each] for each in found if each in _IN_WORDS] + turned


def note_of_size(enlargement: float) -> list[str]:
    """A word on a photo of so few pixels that it was enlarged by far."""
    far = enlargement > FAR
    return [f"its shorter side was enlarged {enlargement:.0f} times for the net"] if far else []


def megabytes(count: int) -> str:
    """Such as `20 MB`."""
    return f"{count / 2**20:.0f} MB"


def _refusal(data: bytes, reason: str) -> Refused:
    if data[4:8] == b"ftyp":
        return Refused(415, f"a HEIC or AVIF photo or a film: only {FORMS} are read here; send it as JPEG")
    if reason.startswith("not a photo"):
        return Refused(415, f"this is not a photo: only {FORMS} are read here")
    return Refused(422, f"the photo is damaged or incomplete ({reason}): send another copy")
