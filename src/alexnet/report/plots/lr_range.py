"""The loss of a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from alexnet.report.plots.style import COLORS, escaped


def draw_lr_range(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float,
    title: str = "",
) -> Figure:
    """The loss of each update (faint) and its moving average, over the rate; the suggestion is marked."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color=COLORS[0], alpha=0.3, linewidth=1, label="loss of each update")
    axes.plot(rates, smoothed, color=COLORS[0], linewidth=1.8, label="moving average")
    axes.axvline(
        suggestion, color=COLORS[1], linestyle="--", linewidth=1.2, label=f"suggested: {suggestion:.2g}"
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.set_ylim(0.95 * min(losses), 1.5 * smoothed[0])  # what diverges may leave the figure
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    axes.set_title(escaped(title), loc="left", fontsize=11, wrap=True, parse_math=True)
    return figure
