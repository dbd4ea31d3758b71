"""Which classes are taken for which, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.report.plots.photos import Picture, show
from alexnet.report.plots.save import COLORS
from alexnet.report.plots.words import short

PHOTOS_PER_PAIR = 4
_ARROW = "\N{RIGHTWARDS ARROW}"


def draw_confusions(
    pairs: Sequence[tuple[str, str, int]],
    images: int,
    about: str = "",
    examples: Sequence[Sequence[Picture]] = (),
) -> Figure:
    """A bar for each pair (true name, name that was said, how many images), in the order given.

    `images` is how many were tested; `examples` are, for each pair, some that were confused, shown beside its
    bar. Without a pair the picture says so.
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
    figure.suptitle(about, fontsize=11, wrap=True)
    return figure


def _draw_bars(axes: Any, pairs: Sequence[tuple[str, str, int]], images: int) -> None:
    places = range(len(pairs))
    bars = axes.barh(places, [count for _, _, count in pairs], color=COLORS[1], height=0.8)
    axes.bar_label(bars, [f"{count:,}" for _, _, count in pairs], padding=3, fontsize=9)
    axes.margins(x=0.1)
    axes.set_yticks(places, [f"{short(true)} {_ARROW} {short(said)}" for true, said, _ in pairs], fontsize=9)
    axes.set_ylim(max(len(pairs), 1) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"images of {images:,}: what they are {_ARROW} what was said", fontsize=9)
    if not pairs:
        axes.text(0.5, 0.5, "nothing was confused", transform=axes.transAxes, ha="center", va="center")
