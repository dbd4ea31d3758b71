"""Photos with their nearest images in feature space, as in the paper's figure 4."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from matplotlib.figure import Figure

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import COLORS, put_title, short, show

_CELL_INCHES, _NAME_INCHES = 1.45, 0.4
_NAME_CHARACTERS = 17
PER_LINE = 10
"""Neighbors in one line; more are drawn in further lines."""


def draw_neighbors(
    queries: Sequence[tuple[Pixels, str]],
    neighbors: Sequence[Sequence[tuple[Pixels, str, float]]],
    title: str = "",
    true_names: Sequence[str] = (),
) -> Figure:
    """A row for each query (picture, caption): the query, then its neighbors (picture, name, distance) in
    order.

    With `true_names`, one for each query, a neighbor of the same class has a solid blue frame, one of another
    class a dashed orange frame. `title` is the figure's. Source: figure 4, right.
    """
    columns = 1 + min(PER_LINE, max(map(len, neighbors), default=0))
    lines = [
        (row, found[start : start + PER_LINE])
        for row, found in enumerate(neighbors)
        for start in range(0, max(len(found), 1), PER_LINE)
    ]
    size = (_CELL_INCHES * columns + 0.3, (_CELL_INCHES + _NAME_INCHES) * len(lines) + 0.55)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    begun = -1
    for cells, (row, found) in zip(grid, lines, strict=True):
        if row > begun:
            show(cells[0], queries[row][0], _in_lines(queries[row][1]), bold=True)
            begun = row
        for axes, (near, name, distance) in zip(cells[1:], found, strict=False):
            show(axes, near, short(name, _NAME_CHARACTERS))
            far = f"{distance:#.3g}".removesuffix(".")
            axes.text(0.5, -0.04, far, transform=axes.transAxes, ha="center", va="top", fontsize=8)
            if true_names:
                _frame(axes, name == true_names[row])
    put_title(figure, title or "Nearest images")
    frames = "; blue frame: same class, dashed orange frame: another class" if true_names else ""
    figure.supxlabel(f"Left: the photo; right: its nearest images with their distances{frames}", fontsize=9)
    return figure


def _in_lines(name: str) -> str:
    """The whole name, in lines as wide as a picture."""
    return "\n".join(wrap(name.split(", ")[0], _NAME_CHARACTERS))


def _frame(axes: Any, same: bool) -> None:
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(edgecolor=COLORS[0] if same else COLORS[1], linewidth=2.5, linestyle="-" if same else "--")
