"""The crops of a test on a photo, and the prediction for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alexnet.report.plots.style import COLORS, Picture, short, show

_STYLES = ("-", "--", "-.", ":", (0, (5, 1)))
_VIEWS_PER_ROW = 5


def draw_crops(
    photo: Picture,
    positions: npt.NDArray[np.int64],
    crop: int,
    predicted: Sequence[tuple[str, float]],
    mean: tuple[str, float],
    true_name: str = "",
    title: str = "",
) -> Figure:
    """The photo with a frame for each position, then each crop with its best class (name, probability).

    `positions` (V, 3) are (y, x, mirrored) in pixels, `crop` is the side of a crop; `mean` is the most
    probable class of the mean over all crops. Source: section 4.1.
    """
    rows = -(-len(positions) // _VIEWS_PER_ROW)
    figure = Figure(figsize=(3.8 + 1.75 * _VIEWS_PER_ROW, max(4.4, 2.15 * rows)), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=[3.8, 1.75 * _VIEWS_PER_ROW])
    left, right = parts
    whole = left.subplots()
    name, probability = mean
    truth = f"true class: {short(true_name)}\n" if true_name else ""
    show(whole, photo, f"{truth}mean: {short(name)} {probability:.2f}", bold=True)
    places: dict[tuple[int, int], int] = {}
    for y, x, _ in positions.tolist():
        if (y, x) not in places:
            _frame(whole, x, y, crop, len(places), photo)
            places[y, x] = len(places)
    grid = right.subplots(rows, _VIEWS_PER_ROW, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (y, x, mirrored), (crop_name, score) in zip(
        grid.flat, positions.tolist(), predicted, strict=False
    ):
        view = photo[y : y + crop, x : x + crop]
        which = f"{places[y, x] + 1}{', mirrored' if mirrored else ''}"
        label = f"{which}\n{short(crop_name, 16)} {score:.2f}"
        show(axes, view[:, ::-1] if mirrored else view, label)
    figure.suptitle(title, fontsize=11, wrap=True)
    return figure


def _frame(axes: Any, x: int, y: int, side: int, number: int, photo: Picture) -> None:
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
