"""Every photo decodes to three channels of 8 bits, the same as with Pillow, or is an UnreadableImage."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unit.data.source_makers import photo

from alexnet.data import decode as decode_module
from alexnet.data.decode import PHOTO_SUFFIXES, UnreadableImage, decode, image_size, luma, oddities, quiet
from alexnet.data.sources.photo_files import photos_in
from alexnet.data.sources.tree import open_folder

WHITE, RED = (255, 255, 255), (200, 10, 20)


def _encoded(image: Image.Image, kind: str, **save: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **save)
    return file.getvalue()


def _pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _with_orientation(data: bytes, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _encoded(Image.open(io.BytesIO(data)), "JPEG", exif=exif, quality=100, subsampling=0)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("save", [{}, {"progressive": True}, {"quality": 30, "subsampling": 2}])
def test_jpeg_equals_pillow(mode: str, save: dict[str, object]) -> None:
    if mode != "RGB":
        save = {name: value for name, value in save.items() if name != "subsampling"}
    data = photo(3, (37, 21), mode, **save)
    pixels = decode(data)
    assert pixels.shape == (21, 37, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, _pillow(data))


def test_adobes_inverted_cmyk_is_inverted_back() -> None:
    data = photo(3, (16, 16), "CMYK", quality=95)
    plain = _pillow(photo(3, (16, 16), quality=95)).astype(int)
    # Pillow writes CMYK as Adobe does: inverted, and noted in an APP14 segment.
    assert b"Adobe" in data
    assert np.abs(decode(data) - plain).mean() < 12


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_other_formats_equal_pillow(kind: str) -> None:
    data = photo(4, (9, 14), kind=kind)
    np.testing.assert_array_equal(decode(data), _pillow(data))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_rescaled(kind: str) -> None:
    levels = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    data = _encoded(Image.fromarray(levels), kind)
    assert decode(data)[0, :, 1].tolist() == [0, 0, 1, 1, 128, 255]


def test_transparency_is_composited_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (*RED, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert [tuple(pixel) for pixel in decode(_encoded(image, "PNG"))[0]] == [RED, WHITE]
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, 0, 0, 0])
    palette.putpixel((1, 0), 1)
    assert [tuple(pixel) for pixel in decode(_encoded(palette, "PNG", transparency=1))[0]] == [RED, WHITE]
    gray = Image.new("LA", (1, 1), (0, 0))
    assert tuple(decode(_encoded(gray, "PNG"))[0, 0]) == WHITE


def test_palette_and_two_levels() -> None:
    palette = Image.new("P", (1, 1))
    palette.putpalette([*RED])
    assert tuple(decode(_encoded(palette, "PNG"))[0, 0]) == RED
    assert tuple(decode(_encoded(Image.new("1", (1, 1), 1), "PNG"))[0, 0]) == WHITE


def test_a_png_named_jpeg_and_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, WHITE)]
    moving = _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode(moving)[0, 0], RED, atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_only_with_exif(orientation: int) -> None:
    data = _with_orientation(photo(5, (24, 16)), orientation)
    as_stored = decode(data)
    turns = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p[::-1].transpose(1, 0, 2),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: p[:, ::-1].transpose(1, 0, 2),
    }
    assert as_stored.shape == (16, 24, 3)
    np.testing.assert_array_equal(decode(data, exif=True), turns[orientation](as_stored))
    assert image_size(data) == (24, 16)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html>not here</html>", "not a photo"),
        (photo(1, (64, 64))[:-200], "truncated"),
        (photo(1, (64, 64))[:50], "broken image"),
        (photo(1, (64, 64), kind="PNG")[:-100], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo"),
    ],
)
def test_other_files_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words):
        decode(data)


def _png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0\0\0\0IEND"
    )


def test_bombs_are_refused_by_their_header() -> None:
    with quiet(), pytest.raises(UnreadableImage, match=r"60000x60000|exceeds limit"):
        decode(_png_header(60_000, 60_000))


def test_a_jpeg_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 100)
    assert decode(photo(1, (10, 10))).shape == (10, 10, 3)
    with pytest.raises(UnreadableImage, match="11x10 pixels"):
        decode(photo(1, (11, 10)))


LEVELS = np.arange(192, dtype=np.uint16).reshape(12, 16)
INTACT = {
    kind: photo(2, (16, 12), kind=kind)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
}
INTACT |= {
    "16-bit TIFF": _encoded(Image.fromarray(LEVELS), "TIFF"),
    "float TIFF": _encoded(Image.fromarray(LEVELS.astype(np.float32)), "TIFF"),
    "BigTIFF": _encoded(Image.fromarray(LEVELS), "TIFF", big_tiff=True),
    "16-bit PGM": b"P5\n16 12\n65535\n" + LEVELS.astype(">u2").tobytes(),
    "PGM as text": b"P2 16 12 191\n" + " ".join(map(str, LEVELS.ravel())).encode(),
}


@settings(max_examples=250)
@given(st.sampled_from(sorted(INTACT)), st.data())
def test_damage_gives_pixels_or_unreadable_image_and_nothing_else(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(INTACT[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    for exif in (False, True):
        with quiet():
            try:
                pixels = decode(bytes(damaged), exif)
            except UnreadableImage as error:
                assert "\n" not in str(error)
            else:
                assert pixels.shape[2] == 3


def test_quiet_silences_pillow_and_restores_its_level() -> None:
    level = logging.getLogger("PIL").level
    with quiet():
        warnings.warn("odd file", UserWarning, stacklevel=1)
        assert not logging.getLogger("PIL.TiffImagePlugin").isEnabledFor(logging.ERROR)
    assert logging.getLogger("PIL").level == level
    with pytest.warns(UserWarning):
        warnings.warn("odd file", UserWarning, stacklevel=1)


SEVERAL = (
    ("GIF", ["palette"], "animated"),
    ("PNG", [], "animated"),
    ("WEBP", [], "animated"),
    ("TIFF", [], "several pages"),
)


def _several(kind: str) -> bytes:
    """Two images in one file."""
    pictures = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    file = io.BytesIO()
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (photo(), "a.JPEG", []),
        (photo(), "a", []),
        (photo(mode="L"), "a.jpg", ["gray"]),
        (photo(mode="CMYK"), "a.jpeg", ["CMYK"]),
        (photo(kind="PNG"), "n02105855_2933.JPEG", ["PNG named .JPEG"]),
        (photo(mode="P", kind="PNG"), "a.png", ["palette"]),
        (photo(mode="RGBA", kind="PNG"), "a.png", ["alpha"]),
        (photo(mode="1", kind="PNG"), "a.png", ["black and white"]),
        (photo(mode="LA", kind="PNG"), "a.jpg", ["gray", "alpha", "PNG named .jpg"]),
        (_with_orientation(photo(), 6), "a.jpg", ["EXIF orientation 6"]),
        (_with_orientation(photo(), 1), "a.jpg", []),
        (_encoded(Image.fromarray(np.zeros((2, 2), dtype=np.uint16)), "PNG"), "a.png", ["16-bit"]),
        *((_several(kind), f"a.{kind.lower()}", [*also, found]) for kind, also, found in SEVERAL),
    ],
)
def test_oddities(data: bytes, name: str, expected: list[str]) -> None:
    assert oddities(data, name) == expected


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_luma_of_floating_point_is_the_weighted_sum(convert: Callable[[np.ndarray], Any]) -> None:
    pixels = np.random.default_rng(0).random((2, 5, 7, 3), np.float32)
    found = luma(convert(pixels))
    assert type(found) is type(convert(pixels))
    np.testing.assert_allclose(np.asarray(found), pixels @ np.array([0.299, 0.587, 0.114]), rtol=1e-6)


def test_every_suffix_of_a_photo_is_found(tmp_path: Path) -> None:
    for suffix in PHOTO_SUFFIXES:
        (tmp_path / f"photo{suffix.upper()}").touch()
    (tmp_path / "notes.txt").touch()
    tree = open_folder(tmp_path)
    assert len(photos_in(tree, "")) == len(PHOTO_SUFFIXES)
    assert {".jpeg", ".pbm", ".pnm", ".ppm", ".mpo"} <= set(PHOTO_SUFFIXES)


def test_oddities_of_other_files_are_refused() -> None:
    with pytest.raises(UnreadableImage):
        oddities(b"text", "a.jpg")


@pytest.mark.data
def test_real_photos_equal_pillow(shared_data: Path) -> None:
    for path in sorted((shared_data / "imagenet-sample").iterdir())[::7]:
        data = path.read_bytes()
        np.testing.assert_array_equal(decode(data), _pillow(data), err_msg=path.name)
