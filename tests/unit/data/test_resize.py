from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import resize as twin

from alexnet.data.decode import decode
from alexnet.data.resize import resized_size, to_square, to_whole, warp
from alexnet.errors import DataError

FORMS = [(to_square, twin.to_square), (to_whole, twin.to_whole), (warp, twin.warp)]


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    assert ours.shape == theirs.shape
    return np.abs(ours.astype(int) - theirs)


@settings(max_examples=40)
@given(st.integers(2, 150), st.integers(2, 150), st.integers(16, 96), st.integers(0, 2**32 - 1))
def test_all_forms_equal_pillow_on_noise(height: int, width: int, side: int, seed: int) -> None:
    """Noise is the hardest case for rounding; smaller and larger photos, all aspects up to 75."""
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for ours, theirs in FORMS:
        off = difference(ours(photo, side), theirs(photo, side))
        assert off.mean() < 0.1
        assert off.max() <= 3


@settings(max_examples=20)
@given(st.integers(20, 150), st.integers(20, 150), st.integers(0, 2**32 - 1))
def test_any_pillow_is_within_a_gray_level_on_noise(height: int, width: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert difference(warp(photo, 64), twin.as_pillow_likes(photo, 64, 64)).mean() < 1.0


@pytest.mark.data
def test_all_forms_equal_pillow_on_real_photos(shared_data: Path) -> None:
    for path in sorted((shared_data / "imagenet-sample").glob("*.JPEG"))[::10]:
        photo = decode(path.read_bytes())
        for ours, theirs in FORMS:
            assert difference(ours(photo, 256), theirs(photo, 256)).mean() < 0.05


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 512))
def test_shorter_side_is_exact_and_aspect_is_kept(height: int, width: int, side: int) -> None:
    tall, wide = resized_size(height, width, side)
    assert min(tall, wide) == side
    assert abs(max(tall, wide) - max(height, width) * side / min(height, width)) <= 0.5


def test_the_center_is_taken_with_offsets_rounded_down() -> None:
    columns = np.arange(23, dtype=np.uint8)
    photo = np.broadcast_to(columns[None, :, None], (16, 23, 3)).copy()
    assert np.array_equal(to_square(photo, 16), photo[:, 3:19])


def test_a_photo_of_the_right_size_keeps_its_pixels() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for ours, _ in FORMS:
        assert np.array_equal(ours(photo, 32), photo)


def test_shrinking_is_antialiased() -> None:
    """A fine checkerboard becomes gray; without antialiasing it would stay black and white."""
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    square = to_square(np.repeat(board[:, :, None], 3, 2), 32)
    assert np.abs(square.astype(int) - 127).max() <= 2


def without_antialiasing(photo: np.ndarray, side: int) -> np.ndarray:
    """Each pixel from the four nearest to its center, as with OpenCV's default."""
    result = np.empty((side, side, 3))
    height, width, _ = photo.shape
    for y, x in np.ndindex(side, side):
        down = min(max((y + 0.5) * height / side - 0.5, 0), height - 1)
        across = min(max((x + 0.5) * width / side - 0.5, 0), width - 1)
        top, left = int(down), int(across)
        below, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = photo[top, left] * (1 - (across - left)) + photo[top, right] * (across - left)
        lower = photo[below, left] * (1 - (across - left)) + photo[below, right] * (across - left)
        result[y, x] = upper * (1 - (down - top)) + lower * (down - top)
    return result


@settings(max_examples=20)
@given(st.integers(2, 90), st.integers(2, 90), st.integers(8, 24), st.integers(0, 2**32 - 1))
def test_caffes_filter_reads_four_pixels(height: int, width: int, side: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = warp(photo, side, "bilinear")
    assert np.abs(found - without_antialiasing(photo, side)).max() <= 1.5


@settings(max_examples=20)
@given(st.integers(20, 150), st.integers(20, 150), st.integers(0, 2**32 - 1))
def test_torchvisions_filter_is_pillows_bilinear(height: int, width: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    wanted = Image.fromarray(photo).resize((64, 64), Image.Resampling.BILINEAR)
    assert difference(warp(photo, 64, "bilinear, antialiased"), np.asarray(wanted)).max() <= 2


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(DataError, match="unknown resampling filter 'lanczos': upgrade alexnet"):
        to_square(np.zeros((9, 9, 3), np.uint8), 8, "lanczos")
