"""Images as points in a plane, from a projection of their features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.report.plots.style import COLORS, put_title, short

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
MOST_NAMED = 40
"""Largest number of classes that are named: with more, names would cover each other."""


def draw_map(
    points: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    names: Sequence[str],
    how: str,
    title: str = "",
) -> Figure:
    """`points` (N, 2), with a color and a marker for each class; `labels` (N,) are indices into `names`.

    Each class is named at the median of its points and in the legend, up to `MOST_NAMED` classes.
    Points with negative labels are left out. `how` is the projection, such as `t-SNE of fc7`; `title` is the
    figure's.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots()
    present: list[int] = np.unique(labels[labels >= 0]).tolist()
    named = len(present) <= MOST_NAMED
    for place, label in enumerate(present):
        chosen = points[labels == label]
        color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
        name = short(names[label]) if named else None
        axes.scatter(*chosen.T, s=18, color=color, marker=marker, alpha=0.65, linewidths=0, label=name)
    if named:
        for place, label in enumerate(present):
            _name(axes, np.median(points[labels == label], axis=0), short(names[label]), place)
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside right upper",
            frameon=False,
            fontsize=9,
            markerscale=1.7,
        )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"{how}; each point is an image, color and marker show its true class", fontsize=9.5)
    put_title(figure, title)
    return figure


def _name(axes: Any, at: npt.NDArray[np.floating], name: str, place: int) -> None:
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": COLORS[place % len(COLORS)], "pad": 2}
    axes.text(*at, name, ha="center", va="center", fontsize=9, bbox=box)
