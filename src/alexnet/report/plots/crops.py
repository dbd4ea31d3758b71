"""The crops of a test on a photo, and the prediction for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import COLORS, put_title, short, show

_STYLES = ("-", "--", "-.", ":", (0, (5, 1)))
_VIEWS_PER_ROW = 5


class PredictedCrop(NamedTuple):
    """A crop and its most probable class."""

    y: int
    """Upper edge in the photo, pixels."""
    x: int
    mirrored: bool
    name: str
    probability: float


def draw_crops(
    photo: Pixels,
    crops: Sequence[PredictedCrop],
    side: int,
    mean: tuple[str, float],
    true_name: str = "",
    title: str = "",
) -> Figure:
    """The photo with a frame for each position, then each crop with its best class.

    `side` is that of a crop in pixels; `mean` is the most probable class (name, probability) of the mean over
    all crops. Source: section 4.1.
    """
    rows = -(-len(crops) // _VIEWS_PER_ROW)
    figure = Figure(figsize=(3.8 + 1.75 * _VIEWS_PER_ROW, max(4.4, 2.15 * rows)), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=[3.8, 1.75 * _VIEWS_PER_ROW])
    left, right = parts
    whole = left.subplots()
    name, probability = mean
    truth = f"true class: {short(true_name)}\n" if true_name else ""
    show(whole, photo, f"{truth}mean: {short(name)} {probability:.2f}", bold=True)
    places: dict[tuple[int, int], int] = {}
    for y, x, *_ in crops:
        if (y, x) not in places:
            _frame(whole, x, y, side, len(places), photo)
            places[y, x] = len(places)
    grid = right.subplots(rows, _VIEWS_PER_ROW, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, crop in zip(grid.flat, crops, strict=False):
        view = photo[crop.y : crop.y + side, crop.x : crop.x + side]
        which = f"{places[crop.y, crop.x] + 1}{', mirrored' if crop.mirrored else ''}"
        label = f"{which}\n{short(crop.name, 16)} {crop.probability:.2f}"
        show(axes, view[:, ::-1] if crop.mirrored else view, label)
    put_title(figure, title)
    return figure


def _frame(axes: Any, x: int, y: int, side: int, number: int, photo: Pixels) -> None:
    """Draws a frame with its own color, line style and number, the number near its corner."""
    color, style = COLORS[number % len(COLORS)], _STYLES[number % len(_STYLES)]
    corner = (x - 0.5, y - 0.5)
    common: dict[str, Any] = {"fill": False, "clip_on": False}
    axes.add_patch(Rectangle(corner, side, side, edgecolor="white", linewidth=4, **common))
    axes.add_patch(Rectangle(corner, side, side, edgecolor=color, linestyle=style, linewidth=2, **common))
    height, width = photo.shape[:2]
    at = (x + _inset(x, width - side) * side, y + _inset(y, height - side) * side)
    badge = {"facecolor": color, "edgecolor": "white", "boxstyle": "circle,pad=0.2"}
    look = {"color": "white", "fontsize": 10, "fontweight": "bold", "ha": "center", "va": "center"}
    axes.text(*at, str(number + 1), bbox=badge, **look)


def _inset(start: int, last: int) -> float:
    """Position of a frame's number along its side, as a fraction: near the edge of the photo."""
    return 0.06 if start < last / 3 else 0.94 if start > 2 * last / 3 else 0.5
