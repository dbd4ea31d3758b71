"""A claim in one figure: every arm's error during training, and each comparison with its band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from alexnet.experiments.claim_results import ComparisonResult
from alexnet.report.plots.curves import rise_from_zero
from alexnet.report.plots.style import COLORS, put_title

_VERDICTS = {"held": COLORS[2], "failed": COLORS[1], "still learning": COLORS[4], "untested": "#666666"}
_STYLES = ("-", "--", "-.", ":")
_CHARACTERS = 62


@dataclass(frozen=True)
class Curve:
    """The error of one run at each validation."""

    arm: str
    shares: Sequence[float]
    """Completed fraction of the run, at each validation."""
    errors: Sequence[float]
    """Errors, as fractions."""


def draw_claim(
    comparisons: Sequence[ComparisonResult], curves: Sequence[Curve], error: str, title: str
) -> Figure:
    """On the left, the curves: a line for each run and a color for each arm.

    On the right, a row for each comparison: the band is shaded, dots are seeds, and the bar is the 95 %
    interval. `error` names what the curves show.
    """
    rows = max(len(comparisons), 3)
    figure = Figure(figsize=(12, 1.6 + 1.15 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, 2, width_ratios=(1, 1.15))
    _draw_curves(figure.add_subplot(grid[:, 0]), curves, error)
    for place, comparison in enumerate(comparisons):
        _draw_row(figure.add_subplot(grid[place, 1]), comparison)
    put_title(figure, title, points=12)
    return figure


def _draw_curves(axes: Axes, curves: Sequence[Curve], error: str) -> None:
    arms = list(dict.fromkeys(curve.arm for curve in curves))
    for curve in curves:
        place = arms.index(curve.arm)
        dashes = place % len(_STYLES)  # so that arms with equal curves can be distinguished
        first = next(each for each in curves if each.arm == curve.arm) is curve
        axes.plot(
            *(curve.shares, curve.errors),
            color=COLORS[place % len(COLORS)],
            linestyle=_STYLES[dashes],
            linewidth=1.3,
            zorder=2 + dashes / len(_STYLES),  # the longer line is below
            marker=".",
            markersize=4,
            alpha=0.8,
            label=curve.arm if first else None,
        )
    axes.set_title(f"{error}, one view; a line for each seed", loc="left", fontsize=10.5)
    axes.set_xlabel("share of the run")
    axes.set_xlim(0, 1.02)  # so that a point at the end is not cut off
    rise_from_zero(axes)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(frameon=False, fontsize=8.5)


def _draw_row(axes: Axes, found: ComparisonResult) -> None:
    scale, color = (100.0 if found.unit == "points" else 1.0), _VERDICTS[found.verdict]
    interval = found.interval
    bar = [] if interval is None else [scale * interval.low, scale * interval.high]
    numbers = [scale * number for number in found.numbers]
    ends = [scale * end for end in (found.band.low, found.band.high)]
    low, high = _limits([*numbers, *bar, *filter(math.isfinite, ends)])
    axes.axvspan(max(ends[0], low), min(ends[1], high), color=COLORS[2], alpha=0.13, linewidth=0)
    if interval is not None:
        axes.plot(bar, [0, 0], color=color, linewidth=3, solid_capstyle="butt")
        axes.plot([scale * interval.mean], [0], marker="D", color=color, markersize=6)
    axes.plot(
        numbers,
        np.linspace(0.3, 0.7, len(numbers)),  # so that equal numbers are all visible
        "o",
        color="black",
        alpha=0.6,
        markersize=4,
    )
    if not (numbers or bar) and found.reason:
        why = fill(f"no value: {found.reason}", _CHARACTERS)
        axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", fontsize=8.5)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.7, 1)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="x", labelsize=8.5)
    unit = f" [{found.unit}]" if found.unit else ""
    more = " (at least)" if found.at_least else ""
    axes.set_title(
        fill(f"{found.title}{unit}{more} \N{EN DASH} {found.verdict}", _CHARACTERS),
        loc="left",
        fontsize=8.5,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits of the axis: a little more than the range of all values."""
    if not values:
        return -1.0, 1.0
    low, high = min(values), max(values)
    room = 0.15 * (high - low) or abs(high) or 1.0
    return low - room, high + room
