from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference.boxes import bounds, iou, painted, pixels_of
from unit.data.memory_source import examples, source
from unit.data.store_makers import make_store, row

from alexnet.data import boxes as geometry
from alexnet.data.boxes import Boxes, BoxTable, clip
from alexnet.data.classes import NO_LABEL
from alexnet.data.crops import cut
from alexnet.data.loader import Batching, Loader
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.prepare_shard import move_box, resize
from alexnet.data.randomness import ImageRandomness
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.data.transforms import random_positions
from alexnet.errors import CommandError

COUNTS = (1, 0, 3, 2, 0, 1, 4, 0, 1)


def boxes_of(number: int) -> tuple[Box, ...]:
    return tuple(
        Box(number % 3, 0.125 * each, 0.25, 0.125 * each + 0.25, 0.5 + 0.0625 * number)
        for each in range(COUNTS[number])
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = [row(number, boxes=boxes_of(number)) for number in range(len(COUNTS))]
    return Store.open(make_store(tmp_path / "store", {"train": rows, "val": [row(0)]}))


def found(boxes: Boxes, place: int) -> tuple[Box, ...]:
    there = boxes.labels[place] != NO_LABEL
    assert not boxes.corners[place][~there].any()
    rows = zip(boxes.labels[place][there].tolist(), boxes.corners[place][there].tolist(), strict=True)
    return tuple(Box(label, *corners) for label, corners in rows)


def test_batches_have_the_boxes_of_their_images(store: Store) -> None:
    for start in (0, 1):
        for batch in Loader(store.split("train"), Batching(4, seed=5), boxes=True).batches(0, start):
            assert batch.boxes is not None
            assert batch.boxes.corners.dtype == torch.float32
            for place, index in enumerate(batch.indices.tolist()):
                assert found(batch.boxes, place) == boxes_of(index)


def test_batches_have_no_boxes_by_default(store: Store) -> None:
    assert next(Loader(store.split("train"), Batching(3)).batches()).boxes is None


def test_a_part_of_a_split_has_its_own_boxes(store: Store) -> None:
    chosen = np.array([6, 1, 2, 8, 0])
    table = BoxTable.of(store.split("train").part(chosen))
    padded = table.padded(np.arange(5))
    assert [found(padded, place) for place in range(5)] == [boxes_of(int(index)) for index in chosen]
    assert table.images_with_boxes().tolist() == [0, 2, 3, 4]
    assert padded.labels.shape == (5, 4)
    assert table.padded([1]).labels.tolist() == [[NO_LABEL]]


def test_a_split_without_any_box_is_refused(store: Store) -> None:
    with pytest.raises(CommandError, match="'val' of the store has no boxes: prepare a source that has"):
        Loader(store.split("val"), Batching(1), boxes=True)


def test_the_largest_box_of_a_class() -> None:
    corners = torch.tensor([[[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.75]], [[0, 0, 1, 1]] * 3])
    labels = torch.tensor([[4, 2, 2], [1, NO_LABEL, NO_LABEL]])
    largest, there = Boxes(corners.float(), labels).largest(torch.tensor([2, 3]))
    assert largest.tolist() == [[0, 0, 0.5, 0.75], [0, 0, 0, 0]]
    assert there.tolist() == [True, False]


def test_boxes_of_whole_photos_are_those_of_the_central_square(tmp_path: Path) -> None:
    """As the loader reads it, and as a store of squares holds it."""
    everything = [
        each.__class__(each.image, each.label, each.key, (Box(each.label, 0.05, 0.1, 0.6, 0.95),))
        for each in examples(6)
    ]
    tables = []
    for shape in ("whole", "square"):
        made = prepare(source(train=everything), tmp_path / shape, PrepareSettings(32, shape), workers=1)
        tables.append(BoxTable.of(made.split("train")))
    assert tables[0].corners == pytest.approx(tables[1].corners, abs=1e-6)
    assert clip(tables[0].corners) == pytest.approx(tables[0].corners)


edge = st.integers(-3, 12)
box = st.tuples(edge, edge, edge, edge)
real = st.floats(-2, 3, allow_nan=False)


def proper(corners: tuple[int, ...]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


@given(box, box)
def test_iou_and_area_equal_counted_pixels(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    first, second = proper(first), proper(second)
    assert geometry.iou([first], [second])[0, 0] == pytest.approx(iou(first, second))
    assert geometry.area(first) == len(pixels_of(first))
    inside = len(pixels_of(first) & pixels_of(second))
    assert geometry.area(geometry.clip(first, second)) == inside
    assert geometry.covered(first, second) == pytest.approx(inside / max(len(pixels_of(first)), 1))


def test_reversed_boxes_have_no_area_and_no_overlap() -> None:
    assert geometry.area([3, 0, 1, 5]) == 0
    assert geometry.iou([[3, 0, 1, 5], [0, 0, 4, 4]], [[0, 0, 4, 4]]).tolist() == [[0], [1]]
    assert geometry.iou(np.empty((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


@given(st.tuples(real, real, real, real), st.tuples(real, real), st.integers(0, 1))
def test_from_window_inverts_to_window(
    corners: tuple[float, ...], size: tuple[float, float], mirrored: int
) -> None:
    window = [0.5, -1.0, 0.5 + abs(size[0]) + 0.1, -1.0 + abs(size[1]) + 0.1]
    there = geometry.to_window(corners, window, mirrored)
    assert geometry.from_window(there, window, mirrored) == pytest.approx(np.array(corners), abs=1e-9)


@given(st.tuples(real, real, real, real))
def test_mirroring_twice_is_the_identity_and_keeps_the_area(corners: tuple[float, ...]) -> None:
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
    """Up to the pixel or two by which a resized edge is blurred."""
    x0, y0, x1, y1 = proper(tuple(np.rint(np.array(shares) * [width, height, width, height]).astype(int)))
    if x1 - x0 < 6 or y1 - y0 < 6:
        return
    options = {"whole": {"shape": "whole"}, "square": {}}.get(how, {"resize": how})
    settings = PrepareSettings(side=64 if how == "pad" else 48, **options)
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


def test_the_central_window_of_a_photo_is_rounded_down() -> None:
    assert geometry.central_window(10, 15, 10) == pytest.approx([2 / 15, 0, 12 / 15, 1])
    assert geometry.central_window(4, 4, 8) == pytest.approx([-0.5, -0.5, 1.5, 1.5])
