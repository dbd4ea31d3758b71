"""Photos with the images that a net takes for most alike, as the paper shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.figures.save import COLORS
from alexnet.figures.words import short

Picture = npt.NDArray[np.uint8]
"""(H, W, 3), or (H, W, 1) where it is grey."""
_CELL_INCHES, _NAME_INCHES = 1.25, 0.36
_NAME_CHARACTERS = 17


def draw_neighbours(
    queries: Sequence[tuple[Picture, str]],
    neighbours: Sequence[Sequence[tuple[Picture, str, float]]],
    about: str = "",
) -> Figure:
    """A row for each query (picture, name): itself, then its nearest (picture, name, distance) in order.

    A neighbour of the query's class has a blue frame, of another an orange one with a dashed line; where the
    query's name is empty there are no frames. `about` is written above: run, data, number of images.
    Source: figure 4, right.
    """
    columns = 1 + max(map(len, neighbours), default=0)
    size = (_CELL_INCHES * columns + 0.3, (_CELL_INCHES + _NAME_INCHES) * len(queries) + 0.55)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(queries), columns, squeeze=False, width_ratios=[1.12] + [1] * (columns - 1))
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (picture, name), found in zip(grid, queries, neighbours, strict=True):
        _show(row[0], picture, short(name, _NAME_CHARACTERS), "", bold=True)
        for axes, (near, near_name, distance) in zip(row[1:], found, strict=False):
            _show(axes, near, short(near_name, _NAME_CHARACTERS), f"{distance:.3g}")
            if name:
                _frame(axes, near_name == name)
    figure.suptitle(about or "Nearest images", fontsize=10)
    figure.supxlabel("Left: the photo. Right of it the nearest images, and how far they are", fontsize=8.5)
    return figure


def _show(axes: Any, picture: Picture, name: str, distance: str, bold: bool = False) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set_title(name, fontsize=8, fontweight="bold" if bold else "normal", pad=2.5)
    axes.text(0.5, -0.03, distance, transform=axes.transAxes, ha="center", va="top", fontsize=7.5)


def _frame(axes: Any, same: bool) -> None:
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(edgecolor=COLORS[0] if same else COLORS[1], linewidth=2, linestyle="-" if same else "--")
