"""A claim in one picture: every arm's error over its runs, and what each comparison found beside its band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from alexnet.report.plots.curves import rise_from_zero
from alexnet.report.plots.style import COLORS

_VERDICTS = {"held": COLORS[2], "failed": COLORS[1], "untested": "#666666"}
_STYLES = ("-", "--", "-.", ":")
_CHARACTERS = 62


@dataclass(frozen=True)
class Curve:
    """An error of one run, tested again and again."""

    arm: str
    shares: Sequence[float]
    """Of the run that was done."""
    errors: Sequence[float]
    """Fractions."""


@dataclass(frozen=True)
class Shown:
    """One comparison; errors are fractions, shown in points."""

    words: str
    unit: str
    numbers: Sequence[float]
    """One for each seed."""
    interval: tuple[float, float, float] | None
    """Mean, low and high end; None where there is none."""
    band: tuple[float, float]
    """What counts as held; ends may be infinite."""
    verdict: str
    at_least: bool = False
    reason: str = ""
    """Why there is no number, where there is none."""


def draw_claim(shown: Sequence[Shown], curves: Sequence[Curve], error: str, about: str) -> Figure:
    """Left the curves, a line for each run and a color for each arm; right a row for each comparison.

    In a row the band is shaded, dots are seeds, the bar is the 95 % interval. `error` names what the curves
    show, `about` is the title.
    """
    rows = max(len(shown), 3)
    figure = Figure(figsize=(12, 1.6 + 1.15 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, 2, width_ratios=(1, 1.15))
    _draw_curves(figure.add_subplot(grid[:, 0]), curves, error)
    for place, each in enumerate(shown):
        _draw_row(figure.add_subplot(grid[place, 1]), each)
    figure.suptitle(about, fontsize=12, wrap=True)
    return figure


def _draw_curves(axes: Axes, curves: Sequence[Curve], error: str) -> None:
    arms = list(dict.fromkeys(curve.arm for curve in curves))
    for curve in curves:
        place = arms.index(curve.arm)
        dashes = place % len(_STYLES)  # arms whose curves are the same are still told apart
        first = next(each for each in curves if each.arm == curve.arm) is curve
        axes.plot(
            *(curve.shares, curve.errors),
            color=COLORS[place % len(COLORS)],
            linestyle=_STYLES[dashes],
            linewidth=1.3,
            zorder=2 + dashes / len(_STYLES),  # the fuller line below
            marker=".",
            markersize=4,
            alpha=0.8,
            label=curve.arm if first else None,
        )
    axes.set_title(f"{error}, one view; a line for each seed", loc="left", fontsize=10.5)
    axes.set_xlabel("share of the run")
    axes.set_xlim(0, 1.02)  # a point at the end is seen whole
    rise_from_zero(axes)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(frameon=False, fontsize=8.5)


def _draw_row(axes: Axes, shown: Shown) -> None:
    scale, color = (100.0 if shown.unit == "points" else 1.0), _VERDICTS[shown.verdict]
    values = [scale * value for value in (*shown.numbers, *(shown.interval or ()))]
    ends = [scale * end for end in shown.band if math.isfinite(end)]
    low, high = _limits([*values, *ends])
    band = [max(scale * shown.band[0], low), min(scale * shown.band[1], high)]
    axes.axvspan(*band, color=COLORS[2], alpha=0.13, linewidth=0)
    if shown.interval:
        mean, least, most = (scale * value for value in shown.interval)
        axes.plot([least, most], [0, 0], color=color, linewidth=3, solid_capstyle="butt")
        axes.plot([mean], [0], marker="D", color=color, markersize=6)
    axes.plot(
        [scale * number for number in shown.numbers],
        np.linspace(0.3, 0.7, len(shown.numbers)),  # the same numbers are still so many
        "o",
        color="black",
        alpha=0.6,
        markersize=4,
    )
    if not values and shown.reason:
        said = fill(f"no value: {shown.reason}", _CHARACTERS)
        axes.text(0.5, 0.5, said, transform=axes.transAxes, ha="center", va="center", fontsize=8.5)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.7, 1)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="x", labelsize=8.5)
    unit = f" [{shown.unit}]" if shown.unit else ""
    more = " (at least)" if shown.at_least else ""
    axes.set_title(
        fill(f"{shown.words}{unit}{more} \N{EN DASH} {shown.verdict}", _CHARACTERS),
        loc="left",
        fontsize=8.5,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """A little more than all values span."""
    if not values:
        return -1.0, 1.0
    low, high = min(values), max(values)
    room = 0.15 * (high - low) or abs(high) or 1.0
    return low - room, high + room
