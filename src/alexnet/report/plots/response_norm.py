"""Response normalization: the response of a map that is active alone, and inhibition by its neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.report.plots.style import COLORS, put_title

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """The response of a map to its own activity."""

    name: str
    responses: Values
    """(N,)"""
    peak: tuple[float, float] | None = None
    """Activity and response at the maximum; None if there is none."""


@dataclass(frozen=True)
class Inhibition:
    """Derivatives of each map's response by each map's activity, (C, C)."""

    name: str
    derivatives: Values


def draw_response_norm(
    activities: Values, responses: Sequence[Response], inhibitions: Sequence[Inhibition], title: str = ""
) -> Figure:
    """On the left, responses over the activity, with their peaks; on the right, derivatives as matrices.

    `activities` are (N,). The colors of all matrices have the same scale, from the most negative derivative
    to 0, which is white.
    """
    figure = Figure(figsize=(5.6 + 3.1 * len(inhibitions), 4.4), layout="constrained")
    grid = figure.add_gridspec(1, 1 + len(inhibitions), width_ratios=(1.75, *(1 for _ in inhibitions)))
    _draw_responses(figure.add_subplot(grid[0, 0]), activities, responses)
    limit = max((_largest_of_others(each.derivatives) for each in inhibitions), default=1.0)
    panels = [figure.add_subplot(grid[0, 1 + place]) for place in range(len(inhibitions))]
    for axes, each in zip(panels, inhibitions, strict=True):
        image = _draw_derivatives(axes, each, limit)
        if axes is panels[-1]:
            bar = figure.colorbar(image, ax=panels, shrink=0.72, location="bottom", aspect=40)
            bar.set_label("change of the response (row) per unit of activity (column); gray: its own")
    put_title(figure, title)
    return figure


def _draw_responses(axes: Axes, activities: Values, responses: Sequence[Response]) -> None:
    for place, each in enumerate(responses):
        color, dashed = COLORS[place % len(COLORS)], each.peak is None
        axes.plot(
            *(activities, each.responses),
            color=color,
            linewidth=1.8,
            linestyle="--" if dashed else "-",
            label=each.name,
        )
        if each.peak is not None:
            activity, response = each.peak
            axes.plot([activity], [response], "o", color=color, markersize=6)
            axes.annotate(
                f"{response:.1f} at {activity:.0f}",
                each.peak,
                (0, -15),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
    peaks = [each.peak[1] for each in responses if each.peak is not None]
    axes.set_ylim(0, 1.6 * max(peaks) if peaks else None)  # what has no bound leaves the figure
    axes.set_xlim(0, float(activities[-1]))
    axes.set_xlabel("activity of the map; all others are 0")
    axes.set_ylabel("response after normalization")
    axes.set_title("A map that is active alone", loc="left", fontsize=10.5)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")


def _largest_of_others(derivatives: Values) -> float:
    """The largest absolute derivative by another map's activity."""
    return float(np.abs(derivatives[~np.eye(len(derivatives), dtype=bool)]).max())


def _draw_derivatives(axes: Axes, inhibition: Inhibition, limit: float) -> Any:
    """The matrix, without the derivatives by a map's own activity, which are much larger."""
    shown = inhibition.derivatives.copy()
    np.fill_diagonal(shown, np.nan)
    image = axes.imshow(shown, cmap="Reds_r", vmin=-limit, vmax=0.0, interpolation="nearest")
    axes.set_facecolor("#bbbbbb")
    axes.set_xlabel("map whose activity changes")
    axes.set_ylabel("map whose response changes")
    axes.set_title(inhibition.name, loc="left", fontsize=10)
    return image
