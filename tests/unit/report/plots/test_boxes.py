"""Photos with boxes: positions and colors of boxes, and positions of their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb, to_rgba
from PIL import Image
from reference.boxes import bounds, pixels_of

from alexnet.report.plots.boxes import Area, DrawnBox, draw_box_photos, draw_boxes, free_place
from alexnet.report.plots.output import save
from alexnet.report.plots.style import COLORS


def drawn(photo: np.ndarray, boxes: list[DrawnBox], path: Path) -> np.ndarray:
    return np.asarray(Image.open(save(draw_boxes(photo, boxes), path)).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_is_drawn_where_it_is(channels: int, tmp_path: Path) -> None:
    photo = np.zeros((300, 600, channels), np.uint8)
    picture = drawn(photo, [DrawnBox((0.25, 0.5, 0.75, 1.5))], tmp_path / "box.png")
    assert picture.shape == (300, 600, 3)
    x0, y0, x1, _ = bounds(picture)
    assert (x0, y0, x1) == pytest.approx((150, 150, 450), abs=5)
    inside = picture[160:290, 160:440]
    assert not inside.any()


def test_a_small_photo_grows_and_keeps_its_aspect(tmp_path: Path) -> None:
    picture = drawn(np.zeros((32, 64, 3), np.uint8), [], tmp_path / "small.png")
    assert picture.shape == (300, 600, 3)


def test_kinds_have_their_colors_and_captions_their_text() -> None:
    photo = np.zeros((64, 64, 3), np.uint8)
    boxes = [DrawnBox((0, 0, 0.5, 0.5), "a dog", "wrong"), DrawnBox((0.1, 0.1, 0.9, 0.9), kind="true")]
    figure = draw_box_photos([photo, photo], [boxes, []], ["miss", "nothing"])
    axes, empty = figure.axes
    assert [text.get_text() for text in axes.texts] == ["a dog"]
    edges = [patch.get_edgecolor()[:3] for patch in axes.patches]
    assert edges == [to_rgb(color) for color in ("white", COLORS[1], "white", COLORS[6])]
    assert [axes.get_title(), empty.get_title()] == ["miss", "nothing"]
    assert not empty.patches


def test_no_photos_make_an_empty_picture() -> None:
    assert len(draw_box_photos([], [], []).axes) == 1


PICTURE = Area(0, 0, 40, 30)
SIZES = st.tuples(st.integers(-20, 60), st.integers(-20, 60), st.integers(1, 45), st.integers(1, 35))
WANTED = SIZES.map(lambda each: Area(each[0], each[1], each[0] + each[2], each[1] + each[3]))


@given(st.lists(WANTED, max_size=12))
def test_no_label_is_over_another_and_all_are_inside(wanted: list[Area]) -> None:
    taken: list[Area] = []
    for each in wanted:
        place = free_place(each, taken, PICTURE)
        if place is not None:
            assert (place.x1 - place.x0, place.y1 - place.y0) == (each.x1 - each.x0, each.y1 - each.y0)
            assert PICTURE.holds(place)
            assert not any(pixels_of(place) & pixels_of(other) for other in taken)
            taken.append(place)


def test_a_label_is_at_the_wanted_place_if_that_is_free() -> None:
    assert free_place(Area(3, 4, 9, 8), [Area(9, 4, 12, 8)], PICTURE) == Area(3, 4, 9, 8)
    assert free_place(Area(38, 4, 44, 8), [], PICTURE) == Area(34, 4, 40, 8)


def test_a_label_moves_up_or_down_then_sideways_or_is_left_out() -> None:
    assert free_place(Area(3, 4, 9, 8), [Area(0, 2, 9, 5)], PICTURE) == Area(3, 6, 9, 10)
    assert free_place(Area(3, 20, 9, 26), [Area(0, 24, 9, 29)], PICTURE) == Area(3, 17, 9, 23)
    assert free_place(Area(3, 4, 9, 8), [Area(2, 0, 10, 30)], PICTURE) == Area(11, 4, 17, 8)
    assert free_place(Area(3, 4, 9, 8), [PICTURE], PICTURE) is None


def papers(axes: Any) -> list[tuple[float, float, float, float]]:
    """The labels' rectangles as they are drawn, in pixels."""
    axes.figure.draw_without_rendering()
    return [tuple(text.get_bbox_patch().get_window_extent().extents) for text in axes.texts]


def assert_apart_and_inside(axes: Any) -> None:
    drawn, (left, low, right, top) = papers(axes), axes.get_window_extent().extents
    for place, (x0, y0, x1, y1) in enumerate(drawn):
        assert left - 0.5 <= x0 < x1 <= right + 0.5 and low - 0.5 <= y0 < y1 <= top + 0.5
        for a0, b0, a1, b1 in drawn[:place]:
            assert min(x1, a1) - max(x0, a0) < 0.5 or min(y1, b1) - max(y0, b0) < 0.5


PREDICTED = [
    DrawnBox((0.1 * number, 0.1, 0.9, 0.9), f"computer keyboard, number {number} 0.{number}")
    for number in range(8)
]


@pytest.mark.parametrize(("height", "width"), [(400, 600), (64, 64), (600, 90), (20, 3000), (1, 1)])
def test_labels_of_a_photo_are_apart_and_inside(height: int, width: int) -> None:
    (axes,) = draw_boxes(np.zeros((height, width, 3), np.uint8), PREDICTED).axes
    assert len(axes.texts) == len(PREDICTED) or height < width / 2
    assert len(axes.texts) >= 2
    assert_apart_and_inside(axes)


def test_labels_of_many_photos_are_apart_and_inside() -> None:
    photo = np.zeros((48, 64, 3), np.uint8)
    boxes = [[each._replace(kind="wrong") for each in PREDICTED[:count]] for count in (3, 0, 5)]
    figure = draw_box_photos([photo] * 3, boxes, ["a", "b", "c"], title="three photos")
    assert [len(axes.texts) for axes in figure.axes] == [3, 0, 5]
    for axes in figure.axes:
        assert_apart_and_inside(axes)


def test_a_label_wider_than_the_picture_is_whole_and_smaller() -> None:
    caption = "W" * 80 + " 0.5"
    (axes,) = draw_boxes(np.zeros((64, 64, 3), np.uint8), [DrawnBox((0.5, 0.5, 1, 1), caption)]).axes
    assert [text.get_text() for text in axes.texts] == [caption]
    assert_apart_and_inside(axes)


def test_each_box_has_a_color_and_its_label_the_same() -> None:
    axes: Any = draw_boxes(np.zeros((300, 300, 3), np.uint8), PREDICTED[:6]).axes[0]
    edges = [patch.get_edgecolor() for patch in axes.patches[1::2]]
    assert edges == [to_rgba(color) for color in reversed(COLORS[:6])]  # the highest score is the last
    labels = {text.get_text(): text.get_bbox_patch().get_facecolor() for text in axes.texts}
    assert [labels[box.caption] for box in PREDICTED[:6]] == edges
