"""Photos with what a net says about them, as the paper shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.report.plots.photos import Picture, show
from alexnet.report.plots.save import COLORS
from alexnet.report.plots.words import short

PHOTOS_PER_ROW = 4
TOP = 5
_RIGHT, _WRONG = COLORS[4], COLORS[5]


def draw_predictions(
    images: Sequence[Picture],
    true_names: Sequence[str],
    top: Sequence[Sequence[tuple[str, float]]],
    about: str = "",
) -> Figure:
    """Each photo over its true name and bars of its most probable classes (name, probability).

    The true class's bar is orange and its name bold, if it is among them; above the photo stands in words
    whether it is. `about` is the title. Source: figure 4, left.
    """
    columns = max(1, min(PHOTOS_PER_ROW, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(2.5 * columns, 3.5 * rows + 0.5), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2, 1] * rows)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (image, true_name, answers) in enumerate(zip(images, true_names, top, strict=True)):
        row, column = 2 * (place // columns), place % columns
        photo = grid[row, column]
        show(photo, image, verdict(true_name, [name for name, _ in answers]))
        photo.set_anchor("S")  # photos of all shapes stand on their names
        _draw_bars(grid[row + 1, column], true_name, answers)
    figure.suptitle(about, fontsize=11, wrap=True)
    figure.supxlabel("Above the bars the true class; orange where the net names it", fontsize=9)
    return figure


def choose(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], each: int = PHOTOS_PER_ROW
) -> npt.NDArray[np.int64]:
    """Numbers of images to show: `each` that are right, then as many that are close, then that are wrong.

    Close: the true class is among the five most probable but not first. Of each kind evenly through the
    split, so nothing is picked for its looks; where there are not as many, more of the kinds that follow.
    """
    true = np.take_along_axis(probabilities, labels[:, None].astype(np.int64), axis=1)
    ranks = (probabilities >= true).sum(axis=1) - 1
    kinds = (ranks == 0, (ranks > 0) & (ranks < TOP), ranks >= TOP)
    chosen: list[int] = []
    for number, kind in enumerate(kinds, start=1):
        found = np.flatnonzero(kind)
        places = np.linspace(0, len(found) - 1, min(number * each - len(chosen), len(found)))
        chosen += found[places.astype(int)].tolist()
    return np.array(chosen, np.int64)


def verdict(true_name: str, answers: Sequence[str]) -> str:
    """Whether the true class comes first, later, or not at all, in words."""
    if true_name not in answers:
        return f"not among its {len(answers)}"
    place = list(answers).index(true_name) + 1
    return "right" if place == 1 else f"right in place {place}"


def _draw_bars(axes: Any, true_name: str, answers: Sequence[tuple[str, float]]) -> None:
    axes.set_title(short(true_name), fontsize=10, fontweight="bold")
    places = range(len(answers))
    colors = [_RIGHT if name == true_name else _WRONG for name, _ in answers]
    axes.barh(places, [probability for _, probability in answers], color=colors, height=0.85)
    for place, (name, probability) in enumerate(answers):
        weight = "bold" if name == true_name else "normal"
        label = f"{short(name)}  {probability:.2f}"
        axes.text(0.015, place, label, va="center", fontsize=8, fontweight=weight)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(answers) - 0.4, -0.6)
