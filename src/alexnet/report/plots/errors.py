"""Errors with their intervals, next to published ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alexnet.report.plots.style import COLORS, put_title
from alexnet.text import percentage, printable


@dataclass(frozen=True)
class Bar:
    """One error; a fraction, like its interval."""

    name: str
    """The system, with its data and views if they differ between bars."""
    error: float
    interval: tuple[float, float] | None = None
    """95 %; None for published errors."""
    published: bool = False


def draw_errors(bars: Sequence[Bar], error: str = "top-1 error", title: str = "") -> Figure:
    """A bar for each, in the order given: ours filled, with their intervals; published ones hatched.

    `error` is the label of the axis, `title` the figure's. Errors on different data are not comparable: put
    the data in the names if it differs.
    """
    figure = Figure(figsize=(9, 1.2 + 0.42 * max(len(bars), 2)), layout="constrained")
    axes = figure.subplots()
    for place, bar in enumerate(bars):
        color = COLORS[5] if bar.published else COLORS[0]
        look: dict[str, Any] = (
            {"facecolor": "white", "edgecolor": color, "hatch": "///"} if bar.published else {"color": color}
        )
        axes.barh(place, bar.error, height=0.7, **look)
        end = bar.error
        if bar.interval:
            low, high = bar.interval
            reach = [[max(bar.error - low, 0.0)], [max(high - bar.error, 0.0)]]
            axes.errorbar(bar.error, place, xerr=reach, color="black", capsize=4, linewidth=1.2)
            end = max(end, high)
        axes.annotate(_number(bar), (end, place), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(bars)), [printable(bar.name) for bar in bars], fontsize=9.5)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(
        0, 1.5 * max((bar.interval[1] if bar.interval else bar.error for bar in bars), default=1) or 1
    )
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 1])
    axes.set_xlabel(error, fontsize=9.5)
    note = "Lines are 95 % intervals."
    if any(bar.published for bar in bars):
        note = (
            "Lines are 95 % intervals; hatched bars are published results.\n"
            "Errors are comparable only on the same photos and classes with the same views."
        )
    figure.supxlabel(note, fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    put_title(figure, title)
    return figure


def _number(bar: Bar) -> str:
    of = f" ({percentage(bar.interval[0])} \N{EN DASH} {percentage(bar.interval[1])})" if bar.interval else ""
    return f"{percentage(bar.error)}{of}"
