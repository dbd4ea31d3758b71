"""How much nets, data and arithmetic have grown, and what error more images and more classes bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullLocator, PercentFormatter

from alexnet.report.plots.style import COLORS

_SHAPES = ("o", "s", "D", "^", "v", "P")


@dataclass(frozen=True)
class Quantity:
    """One thing that is counted of each net."""

    name: str
    values: Sequence[int]
    """Of the nets, in their order."""


@dataclass(frozen=True)
class Measured:
    """The error of one net; fractions."""

    number: int
    """Of what it is drawn against."""
    error: float
    interval: tuple[float, float]
    """95 %."""
    training_error: float | None = None


def draw_growth(
    nets: Sequence[str],
    quantities: Sequence[Quantity],
    measured: Sequence[tuple[str, Sequence[Measured]]],
    error: str,
    about: str = "",
) -> Figure:
    """Left a row for each quantity with a mark for each net, on one logarithmic scale; right the errors.

    `measured` are panels, each with what its errors are drawn against; `error` names them, `about` is the
    title.
    """
    figure = Figure(figsize=(12.5, 5.2), layout="constrained")
    grid = figure.add_gridspec(len(measured), 2, width_ratios=(1.7, 1))
    _draw_quantities(figure.add_subplot(grid[:, 0]), nets, quantities)
    for place, (against, found) in enumerate(measured):
        _draw_errors(figure.add_subplot(grid[place, 1]), found, error, against)
    figure.suptitle(about, fontsize=12, wrap=True)
    return figure


def _draw_quantities(axes: Axes, nets: Sequence[str], quantities: Sequence[Quantity]) -> None:
    for place, quantity in enumerate(quantities):
        ends = min(quantity.values), max(quantity.values)
        axes.plot(ends, [place, place], color="#bbbbbb", linewidth=1.5, zorder=1)
        for number, value in enumerate(quantity.values):
            label = nets[number] if place == 0 else None
            axes.plot(
                [value],
                [place],
                _SHAPES[number % len(_SHAPES)],
                color=COLORS[number % len(COLORS)],
                markersize=8,
                label=label,
            )
            axes.annotate(
                short(value), (value, place), (0, 9), textcoords="offset points", ha="center", fontsize=9
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_LETTERS)
    axes.set_xlabel(_LETTERS_ARE, fontsize=9.5)
    axes.margins(x=0.08)
    axes.set_ylim(len(quantities) - 0.5, -0.8)
    axes.set_yticks(range(len(quantities)), [quantity.name for quantity in quantities])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title("What had to grow", loc="left", fontsize=11, pad=24)
    axes.legend(
        frameon=False, ncols=len(nets), loc="lower left", bbox_to_anchor=(-0.01, 0.985), borderaxespad=0
    )


def short(value: float) -> str:
    """Two digits and the letter of a thousand, million and so on: `60k`, `1.3M`, `500P`."""
    return _LETTERS(float(f"{value:.2g}"))


_LETTERS = EngFormatter(sep="")
_LETTERS_ARE = (
    "k thousand, M million, G billion, T 10\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}, "
    "P 10\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT FIVE}"
)


def _draw_errors(axes: Axes, found: Sequence[Measured], error: str, against: str) -> None:
    numbers = [each.number for each in found]
    errors = [each.error for each in found]
    below = [max(each.error - each.interval[0], 0.0) for each in found]
    above = [max(each.interval[1] - each.error, 0.0) for each in found]
    if found:
        axes.errorbar(
            *(numbers, errors),
            yerr=[below, above],
            color=COLORS[2],
            marker="D",
            capsize=4,
            label="validation",
        )
        seen = [(each.number, each.training_error) for each in found if each.training_error is not None]
        axes.plot(*zip(*seen, strict=True), color=COLORS[2], linestyle=":", marker=".", label="training")
        axes.legend(frameon=False, fontsize=8.5)
    else:
        axes.text(0.5, 0.5, "not recorded yet", ha="center", va="center", transform=axes.transAxes)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.margins(x=0.1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_xlabel(against, fontsize=9.5)
    axes.set_title(f"AlexNet's {error}", loc="left", fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
