"""Photos of more than 8 bits look as in an image viewer, whatever their TIFF tags or netpbm headers say."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from alexnet.data.decode import UnreadableImage, decode, oddities
from alexnet.data.pillow_gaps import gray_8_bit, level_range, slowness

BY_VALUES, BY_TAGS = "with range by its values", "with range by its tags"
EIGHT_BITS = np.linspace(0, 255, 20 * 30).round().astype(np.uint8).reshape(20, 30)
"""What every file below shows."""


def tiff(values: np.ndarray, white_is_zero: bool = False, order: str = "<", **options: object) -> bytes:
    file = io.BytesIO()
    photometric = "miniswhite" if white_is_zero else "minisblack"
    tifffile.imwrite(file, values, photometric=photometric, byteorder=order, **options)
    return file.getvalue()


def shown(data: bytes) -> np.ndarray:
    pixels = decode(data)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def same(data: bytes, tolerance: int = 1) -> bool:
    return bool(np.abs(shown(data).astype(int) - EIGHT_BITS).max() <= tolerance)


WIDE = EIGHT_BITS.astype(np.uint16) * 257
TWELVE = ((EIGHT_BITS.astype(np.uint32) * 4095 + 127) // 255).astype(np.uint16)
FORMS: dict[str, tuple[np.ndarray, dict[str, object], list[str]]] = {
    "16 bits": (WIDE, {}, ["16-bit"]),
    "14 bits in 16": ((WIDE >> 2).astype(np.uint16), {}, ["16-bit", f"{BY_VALUES} (14 bits)"]),
    "12 bits in 16": (TWELVE.astype(np.uint16), {}, ["16-bit", f"{BY_VALUES} (12 bits)"]),
    "10 bits in 16": ((WIDE >> 6).astype(np.uint16), {}, ["16-bit", f"{BY_VALUES} (10 bits)"]),
    "8 bits in 16": (EIGHT_BITS.astype(np.uint16), {}, ["16-bit", f"{BY_VALUES} (8 bits)"]),
    "signed, below zero": (WIDE.astype(np.int32).__sub__(32768).astype(np.int16), {}, ["16-bit", BY_VALUES]),
    "signed 12 bits": (TWELVE.astype(np.int16), {}, ["16-bit", f"{BY_VALUES} (12 bits)"]),
    "signed 15 bits": ((WIDE >> 1).astype(np.int16), {}, ["16-bit"]),
    "32 bits": (WIDE.astype(np.uint32) * 65537, {}, ["32-bit", BY_VALUES]),
    "signed 32 bits": (WIDE.astype(np.int32) * 1000 - 10**7, {}, ["32-bit", BY_VALUES]),
    "float 0..1": (EIGHT_BITS.astype(np.float32) / 255, {}, ["32-bit", BY_VALUES]),
    "float 0..255": (EIGHT_BITS.astype(np.float32), {}, ["32-bit", BY_VALUES]),
    "float -5..5": (EIGHT_BITS.astype(np.float32) / 25.5 - 5, {}, ["32-bit", BY_VALUES]),
    "double": (EIGHT_BITS.astype(np.float64) / 255, {}, ["64-bit", BY_VALUES]),
    "tags of 16 bits": (
        (TWELVE + 1000).astype(np.uint16),
        {"extratags": [(340, "H", 1, 1000, True), (341, "H", 1, 5095, True)]},
        ["16-bit", BY_TAGS],
    ),
    "tags of floats": (
        EIGHT_BITS.astype(np.float32) * 4 - 20,
        {"extratags": [(340, "f", 1, -20.0, True), (341, "f", 1, 1000.0, True)]},
        ["32-bit", BY_TAGS],
    ),
    "tags without a range": (
        WIDE,
        {"extratags": [(340, "H", 1, 0, True), (341, "H", 1, 0, True)]},
        ["16-bit"],
    ),
}


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("form", FORMS)
def test_tiffs_are_shown_by_their_tags_or_their_values(
    form: str, compression: str | None, order: str, white_is_zero: bool
) -> None:
    values, options, odd = FORMS[form]
    if white_is_zero:
        if form == "16 bits" or "signed 15" in form or "without" in form:
            values = values.max() - values
        elif "extratags" in options:
            (_, _, _, low, _), (_, _, _, high, _) = options["extratags"]  # type: ignore[misc]
            values = (low + high - values.astype(np.float64)).astype(values.dtype)
        else:
            top = {"14 bits in 16": 2**14 - 1, "12 bits in 16": 4095, "10 bits in 16": 1023}.get(form)
            top = top or {"8 bits in 16": 255, "signed 12 bits": 4095, "float 0..255": 255}.get(form)
            top = top if top is not None else float(values.max()) + float(values.min())
            values = (top - values.astype(np.float64)).astype(values.dtype)
    data = tiff(values, white_is_zero, order, compression=compression, **options)
    assert same(data, 2)
    assert oddities(data, "a.tif") == odd


def test_twelve_bits_per_sample() -> None:
    pairs = TWELVE.reshape(-1, 2).astype(np.uint32)
    words = pairs[:, 0] << 12 | pairs[:, 1]
    packed = np.stack([words >> 16, words >> 8 & 255, words & 255], axis=1).astype(np.uint8).tobytes()
    for order, start in (("<", b"II*\0"), (">", b"MM\0*")):
        tags = {256: 30, 257: 20, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 20, 279: len(packed)}
        offset = 8 + len(packed)
        number = np.dtype(f"{order}u4")
        entries = b"".join(
            np.array([tag, 4], f"{order}u2").tobytes() + np.array([1, value], number).tobytes()
            for tag, value in tags.items()
        )
        directory = np.array([len(tags)], f"{order}u2").tobytes() + entries + bytes(4)
        data = start + np.array([offset], number).tobytes() + packed + directory
        assert same(data)
        assert oddities(data) == ["12-bit"]


def test_white_is_zero_of_8_bits_and_of_two_levels() -> None:
    assert same(tiff(255 - EIGHT_BITS, white_is_zero=True), 0)
    levels = EIGHT_BITS > 99
    np.testing.assert_array_equal(shown(tiff(~levels, white_is_zero=True)) > 0, levels)


def test_sixteen_bits_are_those_of_pillows_rounding() -> None:
    every = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    expected = (every.astype(np.int64) + 128) // 257
    np.testing.assert_array_equal(gray_8_bit(every, {}), expected)


def test_no_finite_value_is_refused_and_single_ones_are_black() -> None:
    with pytest.raises(UnreadableImage, match="no finite gray level"):
        decode(tiff(np.full((4, 4), np.nan, np.float32)))
    holes = np.array([[np.nan, 0.0, 0.5, 1.0]], np.float32)
    assert shown(tiff(holes))[0].tolist() == [0, 0, 128, 255]
    assert not shown(tiff(np.zeros((4, 4), np.float32))).any()


def test_color_of_16_bits_that_is_nearly_black_is_counted() -> None:
    color = np.stack([TWELVE] * 3, axis=-1).astype(np.uint16)
    assert "nearly black in 16 bits" in oddities(tiff_color(color))
    assert "nearly black in 16 bits" not in oddities(tiff_color(color * 16))


def tiff_color(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb")
    return file.getvalue()


def netpbm(magic: str, values: np.ndarray, maximum: int, comment: str = "") -> bytes:
    """P1 to P3 as text, P5 and P6 as bytes."""
    height, width = values.shape[:2]
    top = "" if magic == "P1" else f"{maximum}\n"
    header = f"{magic}\n{comment}{width} {height}\n{top}".encode()
    if magic in ("P5", "P6"):
        return header + values.astype(">u2" if maximum > 255 else np.uint8).tobytes()
    separator = "" if magic == "P1" else " "
    lines = [separator.join(map(str, row)) for row in values.reshape(height, -1).tolist()]
    return header + ("\n" + comment).join(lines).encode()


@pytest.mark.parametrize("comment", ["", "# 9 9 by hand\n"])
@pytest.mark.parametrize(
    ("magic", "maximum"),
    [
        *(("P1", 1), ("P2", 255), ("P2", 7), ("P2", 4095), ("P3", 255), ("P3", 1023)),
        *(("P5", 15), ("P5", 300), ("P5", 65535), ("P6", 100), ("P6", 65535)),
    ],
)
def test_netpbm_equals_pillow(magic: str, maximum: int, comment: str) -> None:
    color = (3,) if magic in ("P3", "P6") else ()
    values = np.random.default_rng(maximum).integers(0, maximum + 1, (5, 7, *color))
    data = netpbm(magic, values, maximum, comment)
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "I":
            expected = np.asarray(image).astype(float)[..., None] / 257
        else:
            expected = np.asarray(image.convert("RGB")).astype(float)
    assert np.abs(decode(data) - expected).max() <= 1
    if maximum < 256:
        np.testing.assert_array_equal(decode(data), np.broadcast_to(expected, (5, 7, 3)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P2\n4 4\n255\n1 2 3", "truncated"),
        (b"P2\n2 1\n255\n1 x", "no number"),
        (b"P2\n2 1\n7\n1 8", "outside 0..7"),
        (b"P5\n2 2\n300\n\0\0", "truncated"),
        (b"P5\n2 2\n300", "truncated"),
        (b"P3\n99999 99999\n255\n", "pixels"),
        (b"P2\n0 4\n255\n", "0x4"),
        (b"P5\n1 1\n70000\n\0\0", "up to 70000"),
    ],
)
def test_damaged_netpbm_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableImage):
        decode(data)


def test_the_slow_forms_of_netpbm_are_decoded_without_a_loop_over_pixels() -> None:
    """Counts the lines of Python that are run for 200 times as many pixels."""

    def lines(side: int) -> int:
        data = netpbm("P2", np.full((side, side), 9), 4095)
        count = 0

        def trace(*_: object) -> object:
            nonlocal count
            count += 1
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            decode(data)
        finally:
            sys.settrace(None)
        return count

    assert lines(140) < 1.2 * lines(10)


def tiff_of_pieces(count: int, big: bool, order: str) -> bytes:
    """The header and the directory of a TIFF with so many strips."""
    number, entry = ("Q", "HHQQ") if big else ("H", "HHII")
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    start += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    tags = [(256, 4, 1, 8), (257, 4, 1, count), (273, 4, count, 8)]
    return start + struct.pack(order + number, 3) + b"".join(struct.pack(order + entry, *tag) for tag in tags)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiffs_of_very_many_pieces_are_refused_by_their_header(order: str, big: bool) -> None:
    with pytest.raises(UnreadableImage, match="a TIFF of 2,000,000 pieces"):
        decode(tiff_of_pieces(2_000_000, big, order), exif=True)
    assert slowness(tiff_of_pieces(50_000, big, order)) == ""
    assert slowness(tiff(WIDE, order=order, bigtiff=big)) == ""


@pytest.mark.parametrize("filler", [b" ", b"#\n"])
def test_endless_netpbm_headers_are_refused(filler: bytes) -> None:
    for magic in (b"P2", b"P4", b"P5", b"P6"):
        with pytest.raises(UnreadableImage, match="no complete header"):
            decode(magic + b"\n" + filler * 70_000 + b"3 3 255\n" + bytes(27), exif=True)


def test_the_range_of_values_with_infinities() -> None:
    found = level_range(np.array([-np.inf, 2.0, 3.0, np.inf], np.float32), {})
    assert (found.low, found.high, found.found) == (0.0, 255.0, "values")
