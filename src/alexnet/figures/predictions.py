"""Photos with what a net says about them, as the paper shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.figures.save import COLORS
from alexnet.figures.words import short

PHOTOS_PER_ROW = 4
_RIGHT, _WRONG = COLORS[4], COLORS[5]


def draw_predictions(
    images: Sequence[npt.NDArray[np.uint8]],
    true_names: Sequence[str],
    top: Sequence[Sequence[tuple[str, float]]],
) -> Figure:
    """Each photo (H, W, 3) over its true name and bars of its most probable classes (name, probability).

    The true class's bar is orange and its name bold, if it is among them. Source: figure 4, left.
    """
    columns = min(PHOTOS_PER_ROW, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(2.3 * columns, 3.3 * rows), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2, 1] * rows)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (image, true_name, answers) in enumerate(zip(images, true_names, top, strict=True)):
        row, column = 2 * (place // columns), place % columns
        photo = grid[row, column]
        photo.imshow(image)
        photo.set_anchor("S")  # photos of all shapes stand on their names
        _draw_bars(grid[row + 1, column], true_name, answers)
    figure.supxlabel("Above the bars the true class; orange where the net names it", fontsize=8.5)
    return figure


def _draw_bars(axes: Any, true_name: str, answers: Sequence[tuple[str, float]]) -> None:
    axes.set_title(short(true_name), fontsize=9.5, fontweight="bold")
    places = range(len(answers))
    colors = [_RIGHT if name == true_name else _WRONG for name, _ in answers]
    axes.barh(places, [probability for _, probability in answers], color=colors, height=0.85)
    for place, (name, probability) in enumerate(answers):
        weight = "bold" if name == true_name else "normal"
        label = f"{short(name)}  {probability:.2f}"
        axes.text(0.015, place, label, va="center", fontsize=7.5, fontweight=weight)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(answers) - 0.4, -0.6)
