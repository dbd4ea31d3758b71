"""Photos with boxes drawn on them: where objects are, and where a net says they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alexnet.data.decode import luma
from alexnet.report.plots.labels import Area, free_place
from alexnet.report.plots.save import COLORS, DOTS_PER_INCH

PHOTOS_PER_ROW = 4
SMALLEST_PIXELS = 600
"""Width of the picture of one photo at least, so that captions can be read on it."""

_STYLES = {"true": (COLORS[6], "--"), "right": (COLORS[2], "-"), "wrong": (COLORS[1], "-")}
_SAID = COLORS[:6]
"""Of boxes that are only said, a color each; black is the true box's."""
_PAD = 0.15
"""Room around the text of a label, in its font size."""
IN_WORDS = "black and dashed: the true box; green: said and right; orange-red: said and wrong"
"""What the colors of many photos mean."""


class DrawnBox(NamedTuple):
    """A box as it is drawn."""

    corners: Sequence[float]
    """x0, y0, x1, y1 in shares of the photo; beyond it nothing is drawn."""
    caption: str = ""
    """Where there is no room for it, it is left out."""
    kind: Literal["true", "said", "right", "wrong"] = "said"
    """Those that are `said` have a color each; there are six."""


def draw_boxes(photo: npt.NDArray[np.uint8], boxes: Sequence[DrawnBox]) -> Figure:
    """The photo (H, W, 3), or (H, W, 1), alone with its boxes, as large as it is or larger.

    The surest box is the last: it lies on top, and its caption is the first to be placed.
    """
    height, width = photo.shape[:2]
    scale = max(1.0, SMALLEST_PIXELS / width) / DOTS_PER_INCH
    figure = Figure(figsize=(width * scale, height * scale), dpi=DOTS_PER_INCH)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    _draw(axes, photo, boxes)
    _label(axes, boxes, size=8.5)
    return figure


def draw_box_photos(
    photos: Sequence[npt.NDArray[np.uint8]],
    boxes: Sequence[Sequence[DrawnBox]],
    titles: Sequence[str],
    note: str = IN_WORDS,
    about: str = "",
) -> Figure:
    """Many photos (H, W, C) with their boxes, each below its title, and a note under all of them.

    Of each photo the surest box is the last. `about` is the title of all.
    """
    columns = max(1, min(PHOTOS_PER_ROW, len(photos)))
    rows = max(1, -(-len(photos) // columns))
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.3), layout="constrained", dpi=DOTS_PER_INCH)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, photo, drawn, title in zip(grid.flat, photos, boxes, titles, strict=False):
        _draw(axes, photo, drawn)
        axes.set_title(title, fontsize=8)
    figure.supxlabel(note, fontsize=8)
    figure.suptitle(about, fontsize=11, wrap=True)
    figure.draw_without_rendering()  # the layout: labels are placed in pixels
    for axes, drawn in zip(grid.flat, boxes, strict=False):
        _label(axes, drawn, size=6.5)
    return figure


def _draw(axes: Any, photo: npt.NDArray[np.uint8], boxes: Sequence[DrawnBox]) -> None:
    height, width = photo.shape[:2]
    axes.set_axis_off()
    axes.imshow(photo, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    for box, (color, line) in zip(boxes, _looks(boxes), strict=True):
        x0, y0, x1, y1 = _edges(axes, box)
        # A light line below the colored one: it can be seen on any photo.
        for edge, thickness, style in (("white", 3.2, "-"), (color, 1.7, line)):
            frame = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=edge, lw=thickness, ls=style)
            axes.add_patch(frame)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _label(axes: Any, boxes: Sequence[DrawnBox], size: float) -> None:
    """Captions at the upper left corners of their boxes, moved where another one stands."""
    inside = _whole(axes.get_window_extent().extents)
    taken: list[Area] = []
    for box, (color, _) in reversed(list(zip(boxes, _looks(boxes), strict=True))):
        if not box.caption:
            continue
        paper = {"facecolor": color, "edgecolor": "none", "boxstyle": f"square,pad={_PAD}"}
        text = axes.text(0, 0, box.caption, color=_ink(color), fontsize=size, va="top", bbox=paper)
        text.set_in_layout(False)
        width, height, pad = _size(text)
        fits = min(1.0, (inside.x1 - inside.x0) / width, (inside.y1 - inside.y0) / height)
        if fits < 1:
            text.set_fontsize(0.95 * fits * size)
            width, height, pad = _size(text)
        x, y = map(round, axes.transData.transform(_edges(axes, box)[:2]))
        place = free_place(Area(x, y - height, x + width, y), taken, inside)
        if place is None:
            text.remove()
        else:
            taken.append(place)
            text.set_position(axes.transData.inverted().transform((place.x0 + pad, place.y1 - pad)))


def _edges(axes: Any, box: DrawnBox) -> npt.NDArray[np.float64]:
    """x0, y0, x1, y1 in pixels of the photo, within it."""
    height, width = axes.images[0].get_size()
    return np.clip(box.corners, 0, 1) * (width, height, width, height)


def _looks(boxes: Sequence[DrawnBox]) -> list[tuple[str, str]]:
    """Color and line of each; of those that are said the last, the surest, has the first color."""
    said = [place for place, box in enumerate(boxes) if box.kind == "said"][::-1]
    return [
        (_SAID[said.index(place) % len(_SAID)], "-") if box.kind == "said" else _STYLES[box.kind]
        for place, box in enumerate(boxes)
    ]


def _size(text: Any) -> tuple[int, int, float]:
    """Width and height of a label with its paper, and the paper's rim, in pixels."""
    extent, pad = text.get_window_extent(), _PAD * text.get_fontsize() * text.figure.dpi / 72
    return math.ceil(extent.width + 2 * pad), math.ceil(extent.height + 2 * pad), pad


def _whole(extents: Sequence[float]) -> Area:
    """The whole pixels within."""
    x0, y0, x1, y1 = extents
    return Area(math.ceil(x0 - 1e-6), math.ceil(y0 - 1e-6), math.floor(x1 + 1e-6), math.floor(y1 + 1e-6))


def _ink(paper: str) -> str:
    """Black on light paper, white on dark."""
    return "black" if luma(np.array(to_rgb(paper))) > 0.5 else "white"
