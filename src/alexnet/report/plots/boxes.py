"""Photos with boxes drawn on them: true ones and predicted ones."""

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
from alexnet.report.plots.style import COLORS, DOTS_PER_INCH, PHOTOS_PER_ROW, put_title

SMALLEST_PIXELS = 600
"""Smallest width of a single photo, so that its captions can be read."""

_STYLES = {"true": (COLORS[6], "--"), "right": (COLORS[2], "-"), "wrong": (COLORS[1], "-")}
_PREDICTED = COLORS[:6]
"""A color for each predicted box; true boxes are black."""
_PAD = 0.15
"""Padding around the text of a label, in units of its font size."""
GAP = 1
"""Pixels between two labels."""
COLOR_LEGEND = "black, dashed: true box; green: correct prediction; orange-red: wrong prediction"
"""What the colors mean."""


class DrawnBox(NamedTuple):
    """A box as it is drawn."""

    corners: Sequence[float]
    """x0, y0, x1, y1 as fractions of the photo; clipped to it."""
    caption: str = ""
    """Label; left out if there is no room for it."""
    kind: Literal["true", "predicted", "right", "wrong"] = "predicted"
    """`predicted` boxes, which are not known to be right or wrong, have one of six colors each."""


def draw_boxes(photo: npt.NDArray[np.uint8], boxes: Sequence[DrawnBox]) -> Figure:
    """The photo (H, W, 3) or (H, W, 1) with its boxes, at its own size or larger.

    The box of the highest score comes last: it lies on top, and its caption is placed first.
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
    note: str = COLOR_LEGEND,
    title: str = "",
) -> Figure:
    """Several photos (H, W, C) with their boxes, each under its own title, and a note below all of them.

    The box of the highest score of each photo comes last. `title` is the title of the figure.
    """
    columns = max(1, min(PHOTOS_PER_ROW, len(photos)))
    rows = max(1, -(-len(photos) // columns))
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.3), layout="constrained", dpi=DOTS_PER_INCH)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, photo, drawn, name in zip(grid.flat, photos, boxes, titles, strict=False):
        _draw(axes, photo, drawn)
        axes.set_title(name, fontsize=8)
    figure.supxlabel(note, fontsize=8)
    put_title(figure, title)
    figure.draw_without_rendering()  # computes the layout: labels are placed in pixels
    for axes, drawn in zip(grid.flat, boxes, strict=False):
        _label(axes, drawn, size=6.5)
    return figure


def _draw(axes: Any, photo: npt.NDArray[np.uint8], boxes: Sequence[DrawnBox]) -> None:
    height, width = photo.shape[:2]
    axes.set_axis_off()
    axes.imshow(photo, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    for box, (color, line) in zip(boxes, _styles(boxes), strict=True):
        x0, y0, x1, y1 = _edges(axes, box)
        # A white line below the colored one makes it visible on any photo.
        for edge, thickness, style in (("white", 3.2, "-"), (color, 1.7, line)):
            frame = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=edge, lw=thickness, ls=style)
            axes.add_patch(frame)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _label(axes: Any, boxes: Sequence[DrawnBox], size: float) -> None:
    """Puts captions at the upper left corners of their boxes, or near them if that place is taken."""
    inside = _whole(axes.get_window_extent().extents)
    taken: list[Area] = []
    for box, (color, _) in reversed(list(zip(boxes, _styles(boxes), strict=True))):
        if not box.caption:
            continue
        background = {"facecolor": color, "edgecolor": "none", "boxstyle": f"square,pad={_PAD}"}
        text = axes.text(
            0, 0, box.caption, color=_text_color(color), fontsize=size, va="top", bbox=background
        )
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


def _styles(boxes: Sequence[DrawnBox]) -> list[tuple[str, str]]:
    """Color and line style of each; the last predicted box, of the highest score, has the first color."""
    predicted = [place for place, box in enumerate(boxes) if box.kind == "predicted"][::-1]
    return [
        (_PREDICTED[predicted.index(place) % len(_PREDICTED)], "-")
        if box.kind == "predicted"
        else _STYLES[box.kind]
        for place, box in enumerate(boxes)
    ]


def _size(text: Any) -> tuple[int, int, float]:
    """Width and height of a label with its background, and its padding, in pixels."""
    extent, pad = text.get_window_extent(), _PAD * text.get_fontsize() * text.figure.dpi / 72
    return math.ceil(extent.width + 2 * pad), math.ceil(extent.height + 2 * pad), pad


def _whole(extents: Sequence[float]) -> Area:
    """The whole pixels inside."""
    x0, y0, x1, y1 = extents
    return Area(math.ceil(x0 - 1e-6), math.ceil(y0 - 1e-6), math.floor(x1 + 1e-6), math.floor(y1 + 1e-6))


def _text_color(background: str) -> str:
    """Black on a light background, white on a dark one."""
    return "black" if luma(np.array(to_rgb(background))) > 0.5 else "white"


class Area(NamedTuple):
    """A rectangle with whole edges, in pixels; its far edges are not part of it."""

    x0: int
    y0: int
    x1: int
    y1: int

    def overlaps(self, other: Area) -> bool:
        """Whether they share a pixel."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def holds(self, other: Area) -> bool:
        """Whether all of the other lies in it."""
        return self.x0 <= other.x0 and other.x1 <= self.x1 and self.y0 <= other.y0 and other.y1 <= self.y1


def free_place(wanted: Area, taken: Sequence[Area], inside: Area) -> Area | None:
    """An area of the same size within `inside` that overlaps none of `taken`, near the wanted one.

    It is moved into the picture, then up or down until it is free, and sideways only if that does not help.
    None if there is no room.
    """
    width, height = wanted.x1 - wanted.x0, wanted.y1 - wanted.y0
    x = max(inside.x0, min(wanted.x0, inside.x1 - width))
    y = max(inside.y0, min(wanted.y0, inside.y1 - height))
    spots = [(x, y)]
    for each in taken:
        spots += [(x, each.y0 - GAP - height), (x, each.y1 + GAP)]
        spots += [(each.x1 + GAP, y), (each.x0 - GAP - width, y)]
    for left, low in sorted(spots, key=lambda spot: (abs(spot[0] - x), abs(spot[1] - y))):
        area = Area(left, low, left + width, low + height)
        if inside.holds(area) and not any(area.overlaps(each) for each in taken):
            return area
    return None
