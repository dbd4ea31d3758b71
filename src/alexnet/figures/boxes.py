"""Photos with boxes drawn on them: where objects are, and where a net says they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alexnet.figures.save import COLORS, DOTS_PER_INCH

PHOTOS_PER_ROW = 4
SMALLEST_PIXELS = 600
"""Width of the picture of one photo at least, so that captions can be read on it."""

_STYLES = {
    "true": (COLORS[6], "--"),
    "said": (COLORS[0], "-"),
    "right": (COLORS[2], "-"),
    "wrong": (COLORS[1], "-"),
}
_IN_WORDS = "black and dashed: the true box; green: said and right; orange-red: said and wrong"


class DrawnBox(NamedTuple):
    """A box as it is drawn."""

    corners: Sequence[float]
    """x0, y0, x1, y1 in shares of the photo; beyond it nothing is drawn."""
    caption: str = ""
    kind: Literal["true", "said", "right", "wrong"] = "said"


def draw_boxes(photo: npt.NDArray[np.uint8], boxes: Sequence[DrawnBox]) -> Figure:
    """The photo (H, W, 3), or (H, W, 1), alone with its boxes, as large as it is or larger."""
    height, width = photo.shape[:2]
    scale = max(1.0, SMALLEST_PIXELS / width) / DOTS_PER_INCH
    figure = Figure(figsize=(width * scale, height * scale))
    axes: Any = figure.add_axes((0, 0, 1, 1))
    _draw(axes, photo, boxes, size=8.5)
    return figure


def draw_box_photos(
    photos: Sequence[npt.NDArray[np.uint8]],
    boxes: Sequence[Sequence[DrawnBox]],
    titles: Sequence[str],
    note: str = _IN_WORDS,
) -> Figure:
    """Many photos (H, W, C) with their boxes, each below its title, and a note under all of them."""
    columns = max(1, min(PHOTOS_PER_ROW, len(photos)))
    rows = max(1, -(-len(photos) // columns))
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, photo, drawn, title in zip(grid.flat, photos, boxes, titles, strict=False):
        _draw(axes, photo, drawn, size=6.5)
        axes.set_title(title, fontsize=8)
    figure.supxlabel(note, fontsize=8)
    return figure


def _draw(axes: Any, photo: npt.NDArray[np.uint8], boxes: Sequence[DrawnBox], size: float) -> None:
    height, width = photo.shape[:2]
    axes.set_axis_off()
    axes.imshow(photo, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    for corners, caption, kind in boxes:
        color, line = _STYLES[kind]
        x0, y0, x1, y1 = np.clip(corners, 0, 1) * (width, height, width, height)
        # A light line below the coloured one: it can be seen on any photo.
        for edge, thickness, style in (("white", 3.2, "-"), (color, 1.7, line)):
            frame = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=edge, lw=thickness, ls=style)
            axes.add_patch(frame)
        if caption:
            paper = {"facecolor": color, "edgecolor": "none", "pad": 1.2}
            axes.text(x0, y0, caption, color="white", fontsize=size, va="top", bbox=paper, clip_on=True)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
