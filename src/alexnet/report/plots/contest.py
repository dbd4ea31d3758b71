"""The lowest errors of ILSVRC's classification task by year."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from alexnet.published.imagenet import Winner
from alexnet.report.plots.style import COLORS, put_title

_KINDS = {
    True: (COLORS[0], "convolutional networks"),
    False: (COLORS[4], "hand-made features and a linear classifier"),
}
_OWN = (COLORS[5], "the same team without outside data (in parentheses)")


def draw_contest(winners: Sequence[Winner], title: str = "") -> Figure:
    """A bar for each year's lowest top-5 error, with its team; networks have another color.

    Where that error is with outside data, a lighter bar behind it is the team's error without."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots()
    years = [str(each.year) for each in winners]
    colors = [_KINDS[each.convolutional][0] for each in winners]
    behind = axes.bar(years, [each.without_outside_data for each in winners], color=_OWN[0], width=0.72)
    axes.bar(years, [each.top5 for each in winners], color=colors, width=0.72)
    labels = [
        f"{100 * each.top5:.1f}" + ("" if each.own_data is None else f" ({100 * each.own_data:.1f})")
        for each in winners
    ]
    axes.bar_label(behind, labels, padding=2, fontsize=10)
    axes.set_xticks(range(len(winners)), [f"{each.year}\n{each.team}" for each in winners], fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    axes.set_ylabel("top-5 error on the test set")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [Patch(color=color, label=label) for color, label in (*reversed(_KINDS.values()), _OWN)]
    axes.legend(handles=handles, frameon=False, fontsize=10)
    put_title(figure, title)
    return figure
