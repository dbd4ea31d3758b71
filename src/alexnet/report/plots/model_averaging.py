"""Dropout as model averaging: the mean over random masks, and scaled units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from alexnet.report.plots.style import COLORS, put_title


def draw_model_averaging(
    errors: Sequence[Sequence[float]],
    nll: Sequence[Sequence[float]],
    distances: Sequence[Sequence[float]],
    scaled_error: float,
    scaled_nll: float,
    title: str = "",
) -> Figure:
    """Errors, likelihoods and distances over the number of masks, a line for each seed and their mean.

    Each is (seeds, masks). Horizontal lines are the values with scaled units; the distance is from these.
    """
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    _draw(first, errors, "top-1 error", scaled_error)
    first.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=1, symbol=" %"))
    _draw(second, nll, "negative log-likelihood", scaled_nll)
    _draw(third, distances, "total variation distance from scaled units", None)
    third.set_ylim(0)
    first.legend(frameon=False, fontsize=9)
    put_title(figure, title)
    return figure


def _draw(axes: Axes, curves: Sequence[Sequence[float]], label: str, scaled: float | None) -> None:
    values = np.asarray(curves)
    counts = np.arange(1, values.shape[1] + 1)
    for place, curve in enumerate(values):
        name = "mean over masks, each seed" if place == 0 else None
        axes.plot(counts, curve, color=COLORS[0], alpha=0.35, linewidth=1, label=name)
    axes.plot(counts, values.mean(0), color=COLORS[0], linewidth=2, label="mean over masks, mean of seeds")
    if scaled is not None:
        axes.axhline(scaled, color=COLORS[1], linestyle="--", linewidth=1.6, label="all units, scaled")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))
    axes.set_xlabel("number of masks")
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
