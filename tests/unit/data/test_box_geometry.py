from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference.boxes import bounds, iou, painted, pixels_of

from alexnet.data import boxes as geometry
from alexnet.data.crops import cut
from alexnet.data.prepare import Settings
from alexnet.data.prepare_workers import move_box, resize
from alexnet.data.randomness import ImageRandomness
from alexnet.data.sources import Box
from alexnet.data.transforms import random_positions

edge = st.integers(-3, 12)
box = st.tuples(edge, edge, edge, edge)
real = st.floats(-2, 3, allow_nan=False)


def proper(corners: tuple[int, ...]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


@given(box, box)
def test_iou_and_area_are_those_of_counted_pixels(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    first, second = proper(first), proper(second)
    assert geometry.iou([first], [second])[0, 0] == pytest.approx(iou(first, second))
    assert geometry.area(first) == len(pixels_of(first))
    inside = len(pixels_of(first) & pixels_of(second))
    assert geometry.area(geometry.clip(first, second)) == inside
    assert geometry.covered(first, second) == pytest.approx(inside / max(len(pixels_of(first)), 1))


def test_reversed_boxes_have_no_area_and_share_nothing() -> None:
    assert geometry.area([3, 0, 1, 5]) == 0
    assert geometry.iou([[3, 0, 1, 5], [0, 0, 4, 4]], [[0, 0, 4, 4]]).tolist() == [[0], [1]]
    assert geometry.iou(np.empty((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


@given(st.tuples(real, real, real, real), st.tuples(real, real), st.integers(0, 1))
def test_a_window_and_back_again(
    corners: tuple[float, ...], size: tuple[float, float], mirrored: int
) -> None:
    window = [0.5, -1.0, 0.5 + abs(size[0]) + 0.1, -1.0 + abs(size[1]) + 0.1]
    there = geometry.to_window(corners, window, mirrored)
    assert geometry.from_window(there, window, mirrored) == pytest.approx(np.array(corners), abs=1e-9)


@given(st.tuples(real, real, real, real))
def test_mirroring_twice_is_nothing_and_keeps_the_area(corners: tuple[float, ...]) -> None:
    once = geometry.mirror(corners)
    assert geometry.mirror(once) == pytest.approx(np.array(corners))
    assert geometry.area(once) == pytest.approx(geometry.area(corners))
    assert geometry.mirror(corners, 0) == pytest.approx(np.array(corners))


@given(box, st.integers(0, 10_000))
def test_boxes_follow_their_pixels_into_random_crops(corners: tuple[int, ...], seed: int) -> None:
    side, crop = 12, 7
    corners = tuple(np.clip(proper(corners), 0, side).tolist())
    picture = painted(side, side, corners)
    positions = random_positions(side, crop, ImageRandomness(seed, 0, [1]), mirror=True)
    square = cut(torch.from_numpy(picture)[None], crop, positions)[0, 0].numpy()
    shares = np.array(corners) / side
    windows = geometry.crop_windows(positions, side, crop)
    moved = geometry.clip(geometry.to_window(shares, windows, positions[..., 2]))[0, 0]
    if geometry.area(moved) < 1e-9:
        assert bounds(square) is None
    else:
        assert bounds(square) == pytest.approx(moved * crop)


@pytest.mark.parametrize("how", ["square", "whole", "warp", "pad"])
@given(st.integers(20, 60), st.integers(20, 60), st.tuples(*4 * [st.floats(0, 1)]))
def test_boxes_follow_their_pixels_into_the_store(
    how: str, height: int, width: int, shares: tuple[float, ...]
) -> None:
    """Within the pixel or two by which a resized edge is blurred."""
    x0, y0, x1, y1 = proper(tuple(np.rint(np.array(shares) * [width, height, width, height]).astype(int)))
    if x1 - x0 < 6 or y1 - y0 < 6:
        return
    options = {"whole": {"shape": "whole"}, "square": {}}.get(how, {"resize": how})
    settings = Settings(side=64 if how == "pad" else 48, **options)
    stored = resize(painted(height, width, (x0, y0, x1, y1)), settings)
    moved = move_box(Box(0, x0 / width, y0 / height, x1 / width, y1 / height), height, width, settings)
    seen = bounds(stored)
    if moved is None:
        assert seen is None or min(seen[2] - seen[0], seen[3] - seen[1]) <= 2
        return
    expected = np.array(moved[1:]) * np.tile(stored.shape[1::-1], 2)
    if min(expected[2] - expected[0], expected[3] - expected[1]) < 3:
        return  # a sliver at the edge may be too thin to be seen
    assert seen == pytest.approx(expected, abs=1.51)


def test_the_central_window_of_a_photo_is_floored_as_pixels_are() -> None:
    assert geometry.central_window(10, 15, 10) == pytest.approx([2 / 15, 0, 12 / 15, 1])
    assert geometry.central_window(4, 4, 8) == pytest.approx([-0.5, -0.5, 1.5, 1.5])
