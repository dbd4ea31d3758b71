"""Photos with the images that a net takes for most alike, as the paper shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from alexnet.report.plots.photos import Picture, show
from alexnet.report.plots.save import COLORS
from alexnet.report.plots.words import short

_CELL_INCHES, _NAME_INCHES = 1.45, 0.4
_NAME_CHARACTERS = 17
PER_LINE = 10
"""Most neighbors beside each other; more go on below."""


def draw_neighbors(
    queries: Sequence[tuple[Picture, str]],
    neighbors: Sequence[Sequence[tuple[Picture, str, float]]],
    about: str = "",
    true_names: Sequence[str] = (),
) -> Figure:
    """A row for each query (picture, caption): itself, then its nearest (picture, name, distance) in order.

    More than `PER_LINE` go on in the row below.

    With `true_names`, one for each query, a neighbor of the same name has a blue frame, another an orange
    one with a dashed line. `about` is the title: run, data, number of images. Source: figure 4, right.
    """
    columns = 1 + min(PER_LINE, max(map(len, neighbors), default=0))
    lines = [
        (row, found[start : start + PER_LINE])
        for row, found in enumerate(neighbors)
        for start in range(0, max(len(found), 1), PER_LINE)
    ]
    size = (_CELL_INCHES * columns + 0.3, (_CELL_INCHES + _NAME_INCHES) * len(lines) + 0.55)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(lines), columns, squeeze=False, width_ratios=[1.12] + [1] * (columns - 1))
    for axes in grid.flat:
        axes.set_axis_off()
    begun = -1
    for cells, (row, found) in zip(grid, lines, strict=True):
        if row > begun:
            show(cells[0], queries[row][0], short(queries[row][1], _NAME_CHARACTERS), bold=True)
            begun = row
        for axes, (near, name, distance) in zip(cells[1:], found, strict=False):
            show(axes, near, short(name, _NAME_CHARACTERS))
            far = f"{distance:#.3g}".removesuffix(".")
            axes.text(0.5, -0.04, far, transform=axes.transAxes, ha="center", va="top", fontsize=8)
            if true_names:
                _frame(axes, name == true_names[row])
    figure.suptitle(about or "Nearest images", fontsize=11, wrap=True)
    frames = "; framed blue where the class is the same, dashed orange where it is not" if true_names else ""
    figure.supxlabel(
        f"Left the photo, right of it the nearest images and how far they are{frames}", fontsize=9
    )
    return figure


def _frame(axes: Any, same: bool) -> None:
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(edgecolor=COLORS[0] if same else COLORS[1], linewidth=2.5, linestyle="-" if same else "--")
