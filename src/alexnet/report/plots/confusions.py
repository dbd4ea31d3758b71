"""Which classes are confused with which, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import COLORS, short, show

PHOTOS_PER_PAIR = 4
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
    figure.suptitle(title, fontsize=11, wrap=True)
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
