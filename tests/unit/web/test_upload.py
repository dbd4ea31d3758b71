from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterable, AsyncIterator, Callable

import numpy as np
import odd_uploads
import pytest
from PIL import Image

from alexnet.web import upload
from alexnet.web.upload import Refused, Uploads, read_upload


@pytest.mark.parametrize(
    ("make", "remark"), odd_uploads.ODD.items(), ids=lambda each: getattr(each, "__name__", "")
)
def test_odd_photos_are_read_and_get_notes(make: Callable[[], bytes], remark: str) -> None:
    photo = read_upload(make())
    assert photo.pixels.shape == (*odd_uploads.SIZE[::-1], 3)
    assert bool(photo.notes) == bool(remark)
    assert any(remark in note for note in photo.notes) or not remark


@pytest.mark.parametrize(
    ("make", "refusal"), odd_uploads.REFUSED.items(), ids=lambda each: getattr(each, "__name__", "")
)
def test_anything_but_a_photo_is_refused_with_a_reason(
    make: Callable[[], bytes], refusal: tuple[int, str]
) -> None:
    with pytest.raises(Refused, match=refusal[1]) as refused:
        read_upload(make())
    assert refused.value.status == refusal[0]
    assert len(str(refused.value)) < 200


def test_the_first_frame_of_an_animation_is_used() -> None:
    first = np.asarray(odd_uploads.picture())
    np.testing.assert_array_equal(read_upload(odd_uploads.animated_webp()).pixels, first)
    np.testing.assert_array_equal(read_upload(odd_uploads.animated_png()).pixels, first)


def test_the_exif_orientation_is_applied_as_by_pillow() -> None:
    data = odd_uploads.rotated()
    pixels = read_upload(data).pixels.astype(int)
    assert np.abs(pixels - np.asarray(odd_uploads.picture(), int)).mean() < 2
    with Image.open(io.BytesIO(data)) as lying:
        assert pixels.shape[:2] == lying.size


def test_sixteen_bits_are_rounded_to_eight() -> None:
    gray = np.asarray(odd_uploads.picture().convert("L"))
    np.testing.assert_array_equal(read_upload(odd_uploads.sixteen_bit()).pixels[..., 0], gray)


def test_heic_without_its_decoder_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    data = odd_uploads.encoded(odd_uploads.picture(), "AVIF")
    assert read_upload(data).pixels.shape == (*odd_uploads.SIZE[::-1], 3)
    monkeypatch.setattr("alexnet.data.decode.heic_is_readable", lambda: False)
    with pytest.raises(Refused, match="cannot decode HEIC or AVIF") as refused:
        read_upload(data.replace(b"avif", b"heic").replace(b"avis", b"heic"))
    assert refused.value.status == 415


def test_long_bmps_of_run_length_encoding_are_refused() -> None:
    """Pillow decodes them run by run in Python."""
    header = b"BM" + bytes(28) + b"\1\0\0\0"
    with pytest.raises(Refused, match="run-length") as refused:
        read_upload(header + bytes(upload.MAX_RLE_BYTES))
    assert refused.value.status == 413


async def _chunks(sizes: list[int], counted: list[int]) -> AsyncIterator[bytes]:
    for size in sizes:
        counted.append(size)
        yield bytes(size)


async def receive(chunks: AsyncIterable[bytes], uploads: Uploads | None = None) -> bytes:
    async with (uploads or Uploads(max_bytes=10)).receive(chunks) as body:
        return body


def test_a_body_up_to_the_limit_is_accepted() -> None:
    assert asyncio.run(receive(_chunks([5, 0, 5], []))) == bytes(10)
    assert asyncio.run(receive(_chunks([], []))) == b""


def test_an_oversized_body_is_drained_so_that_the_client_sees_the_reason(monkeypatch) -> None:
    counted: list[int] = []
    with pytest.raises(Refused, match="larger than") as refused:
        asyncio.run(receive(_chunks([8] * 5, counted)))
    assert refused.value.status == 413
    assert len(counted) == 5
    monkeypatch.setattr(upload, "_DRAINED_BYTES", 20)
    counted.clear()
    with pytest.raises(Refused):
        asyncio.run(receive(_chunks([8] * 1000, counted)))
    assert len(counted) == 3  # draining is limited too


def test_a_stalled_upload_times_out(monkeypatch) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    monkeypatch.setattr(upload, "RECEIVING_SECONDS", 0)
    with pytest.raises(Refused) as refused:
        asyncio.run(receive(stalled()))
    assert refused.value.status == 408


def test_a_slow_upload_is_refused_before_the_time_for_a_whole_photo(monkeypatch) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(10**6):
            await asyncio.sleep(0.01)
            yield b"x"

    monkeypatch.setattr(upload, "GRACE_SECONDS", 0.05)
    with pytest.raises(Refused, match="too slowly") as refused:
        asyncio.run(receive(slow(), Uploads()))
    assert refused.value.status == 408


def test_a_body_that_waits_gives_way_to_those_that_arrive() -> None:
    async def waiting() -> AsyncIterator[bytes]:
        yield bytes(6)
        await asyncio.Event().wait()

    async def both() -> tuple[Refused, bytes]:
        uploads = Uploads(max_bytes=10, max_total=10)
        first = asyncio.create_task(receive(waiting(), uploads))
        await asyncio.sleep(0)
        second = await receive(_chunks([5, 5], []), uploads)
        with pytest.raises(Refused) as refused:
            await first
        return refused.value, second

    refused, second = asyncio.run(both())
    assert refused.status == 503
    assert second == bytes(10)


def test_a_body_that_is_being_decoded_keeps_its_memory() -> None:
    async def both() -> None:
        uploads = Uploads(max_bytes=10, max_total=10)
        async with uploads.receive(_chunks([8], [])) as first:
            with pytest.raises(Refused) as refused:
                await receive(_chunks([8], []), uploads)
            assert (refused.value.status, first) == (503, bytes(8))
        assert await receive(_chunks([8], []), uploads) == bytes(8)

    asyncio.run(both())
