"""Request bodies as photos, or the reason for refusing them. Nothing here touches the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from alexnet.data.decode import (
    NoDecoder,
    NotAPhoto,
    Pixels,
    TooManyPixels,
    TooNarrow,
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
MAX_TOTAL_BYTES = 16 * MAX_BYTES
"""Of all photos that are received or wait to be decoded."""
RECEIVING_SECONDS = 60
"""How long a client may take to send one photo."""
GRACE_SECONDS = 5
"""How long a client may send nothing at the beginning."""
MIN_BYTES_PER_SECOND = 20_000
"""The rate, after `GRACE_SECONDS`, below which a client is too slow."""

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


@dataclass(eq=False)
class _Body:
    """The part of a request's body that is kept; `timeout` is None when it has arrived."""

    kept: bytearray = field(default_factory=bytearray)
    timeout: asyncio.Timeout | None = None
    displaced: bool = False


class Uploads:
    """Receives bodies of requests in bounded memory; no client waits for a slow one.

    A client must keep up with `MIN_BYTES_PER_SECOND`. If all bodies together become larger than `max_total`,
    the one that has been arriving for longest is refused.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_total: int = MAX_TOTAL_BYTES) -> None:
        self._max_bytes, self._max_total = max_bytes, max_total
        self._bodies: list[_Body] = []

    @asynccontextmanager
    async def receive(self, chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
        """The whole body of a request; its memory counts until the context ends.

        Refused if it is too long (413), arrives too slowly (408), or others need the memory (503).
        """
        body = _Body()
        self._bodies.append(body)
        try:
            await self._fill(body, chunks)
            yield bytes(body.kept)
        finally:
            self._bodies.remove(body)

    async def _fill(self, body: _Body, chunks: AsyncIterable[bytes]) -> None:
        begun, length = asyncio.get_running_loop().time(), 0
        try:
            async with asyncio.timeout(min(RECEIVING_SECONDS, GRACE_SECONDS)) as body.timeout:
                async for chunk in chunks:
                    length += len(chunk)
                    seconds = min(RECEIVING_SECONDS, GRACE_SECONDS + length / MIN_BYTES_PER_SECOND)
                    body.timeout.reschedule(begun + seconds)
                    if length <= self._max_bytes:
                        body.kept += chunk
                        self._make_room()
                    if body.displaced or length > _DRAINED_BYTES:
                        break
        except TimeoutError:
            if not body.displaced:
                raise Refused(408, "the photo arrives too slowly: send a smaller one") from None
        finally:
            body.timeout = None
        if body.displaced:
            raise Refused(503, "too many photos arrive at the same time: send it again")
        if length > self._max_bytes:
            raise Refused(413, f"the photo is larger than {megabytes(self._max_bytes)}: send a smaller one")

    def _make_room(self) -> None:
        while sum(len(body.kept) for body in self._bodies) > self._max_total:
            oldest = next(body for body in self._bodies if body.timeout is not None and body.kept)
            assert oldest.timeout is not None
            oldest.displaced, oldest.kept = True, bytearray()
            oldest.timeout.reschedule(asyncio.get_running_loop().time())


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
    except TooNarrow as error:
        raise Refused(422, f"{error}: cut it first") from None
    except NoDecoder:
        raise Refused(415, "this server cannot decode HEIC or AVIF photos: send it as JPEG") from None
    except NotAPhoto:
        raise Refused(415, f"this is not a photo: only {FORMATS} are supported") from None
    except UnreadableImage as error:
        raise Refused(422, f"the photo is damaged or incomplete ({error}): send another copy") from None


def notes_of(found: list[str]) -> list[str]:
    """The findings of `oddities` as sentences for the client."""
    return [_NOTES[each] for each in found if each in _NOTES]


def size_notes(enlargement: float) -> list[str]:
    """A note if the shorter side is enlarged more than `NOTED_ENLARGEMENT` times; else empty."""
    if enlargement <= NOTED_ENLARGEMENT:
        return []
    return [f"its shorter side was enlarged {enlargement:.0f} times for the model"]


def megabytes(count: int) -> str:
    """Text such as `20 MB`."""
    return f"{count / 2**20:.0f} MB"
