"""Which classes are confused with which, and how often: the most frequent pairs, and all as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import COLORS, put_title, short, show

PHOTOS_PER_PAIR = 4
CLASSES_WITH_COUNTS = 30
"""Up to this many classes, the cells of a matrix show their numbers."""
CLASSES_WITH_NAMES = 60
"""Up to this many classes, the rows and columns of a matrix have names."""
_CELL_INCHES = 0.42
_LARGEST_INCHES = 12
_FAINTEST = 0.1
"""Opacity of a cell with the smallest share, so that a single image can be seen."""
_ARROW = "\N{RIGHTWARDS ARROW}"


def draw_confusions(
    pairs: Sequence[tuple[str, str, int]],
    images: int,
    title: str = "",
    examples: Sequence[Sequence[Pixels]] = (),
) -> Figure:
    """A bar for each pair (true class, predicted class, number of images), in the order given.

    `images` is the number of tested images; `examples` are photos of each pair, drawn next to its bar. If
    there is no pair, a text states this. `title` is the figure's.
    """
    shown = max(map(len, examples), default=0)
    row_inches = 0.75 if shown else 0.27
    size = (6 + 0.8 * shown, 0.9 + row_inches * max(len(pairs), 3))
    figure = Figure(figsize=size, layout="constrained")
    rows = max(len(pairs), 1)
    grid = figure.add_gridspec(rows, 1 + shown, width_ratios=[6] + [1] * shown)
    _draw_bars(figure.add_subplot(grid[:, 0]), pairs, images)
    for row, few in enumerate(examples):
        for column, picture in enumerate(few, start=1):
            show(figure.add_subplot(grid[row, column]), picture)
    put_title(figure, title)
    return figure


def _draw_bars(axes: Any, pairs: Sequence[tuple[str, str, int]], images: int) -> None:
    places = range(len(pairs))
    bars = axes.barh(places, [count for _, _, count in pairs], color=COLORS[1], height=0.8)
    axes.bar_label(bars, [f"{count:,}" for _, _, count in pairs], padding=3, fontsize=9)
    axes.margins(x=0.1)
    axes.set_yticks(
        places, [f"{short(true)} {_ARROW} {short(predicted)}" for true, predicted, _ in pairs], fontsize=9
    )
    axes.set_ylim(max(len(pairs), 1) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"of {images:,} images: true class {_ARROW} predicted class", fontsize=9)
    if not pairs:
        axes.text(0.5, 0.5, "no confusions", transform=axes.transAxes, ha="center", va="center")


def draw_confusion_matrix(counts: npt.NDArray[np.integer], names: Sequence[str], title: str = "") -> Figure:
    """(K, K) numbers of images as colored cells: rows are true classes, columns predicted ones.

    The color is the share of the row's images, so that rare classes can be read too. `title` is the figure's.
    """
    size = len(counts)
    inches = min(_LARGEST_INCHES, max(3.9, _CELL_INCHES * size))
    figure = Figure(figsize=(inches + 2.2, inches + 2.2), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, columns = np.nonzero(counts)
    cells = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in zip(rows, columns, strict=True)]
    opacities = _FAINTEST + (1 - _FAINTEST) * shares[rows, columns]
    axes.add_collection(
        PatchCollection(
            cells, facecolors=[to_rgba(COLORS[5], float(each)) for each in opacities], linewidths=0
        )
    )
    if size <= CLASSES_WITH_COUNTS:
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            bold = "bold" if row == column else "normal"
            axes.text(
                column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8, fontweight=bold
            )
    places = range(size) if size <= CLASSES_WITH_NAMES else ()
    axes.set_xticks(places, [short(names[place]) for place in places], rotation=90, fontsize=8)
    axes.set_yticks(places, [short(names[place]) for place in places], fontsize=8)
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class", fontsize=9)
    axes.set_ylabel("true class; color: share of its images", fontsize=9)
    put_title(figure, title)
    return figure
