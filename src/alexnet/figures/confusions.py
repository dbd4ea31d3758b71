"""Which classes are taken for which, and how often."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.figures.save import COLORS


def draw_confusions(pairs: Sequence[tuple[str, str, int]], images: int) -> Figure:
    """A bar for each pair (true name, name that was said, how many images), in the order given.

    `images` is how many were tested. Without a pair the picture says so.
    """
    figure = Figure(figsize=(5.2, 0.6 + 0.24 * max(len(pairs), 3)), layout="constrained")
    axes = figure.subplots()
    places = range(len(pairs))
    axes.barh(places, [count for _, _, count in pairs], color=COLORS[1], height=0.8)
    axes.set_yticks(places, [f"{true} \N{RIGHTWARDS ARROW} {said}" for true, said, _ in pairs], fontsize=8)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"images of {images:,}: what they are \N{RIGHTWARDS ARROW} what was said", fontsize=8)
    if not pairs:
        axes.text(0.5, 0.5, "nothing was confused", transform=axes.transAxes, ha="center", va="center")
    return figure
