from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from reference.boxes import bounds

from alexnet.report.plots.boxes import DrawnBox, draw_box_photos, draw_boxes
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
