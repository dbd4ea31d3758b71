"""Reliability diagrams: how often predictions of each confidence are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.report.plots.style import COLORS, put_title


class ReliabilityPanel(NamedTuple):
    """One diagram; a value for each bin of confidence, all of equal width from 0 to 1."""

    title: str
    confidence: npt.NDArray[np.floating]
    """(B,) mean confidence in the bin; NaN if it is empty."""
    accuracy: npt.NDArray[np.floating]
    """(B,) fraction of right predictions."""
    images: npt.NDArray[np.integer]
    """(B,)."""


def draw_reliability(panels: Sequence[ReliabilityPanel], title: str = "") -> Figure:
    """The diagrams side by side: accuracy by confidence above the share of the images in each bin.

    Bars below the diagonal are predictions that are too confident. Source: Guo et al. 2017, figure 1.
    """
    figure = Figure(figsize=(max(6.2, 3.8 * len(panels)), 4.6), layout="constrained")
    grid = figure.subplots(2, len(panels), squeeze=False, sharex=True, height_ratios=[3, 1])
    for (above, below), panel in zip(grid.T, panels, strict=True):
        _draw_accuracy(above, panel)
        _draw_images(below, panel)
    grid[0, 0].set_ylabel("accuracy", fontsize=9)
    grid[1, 0].set_ylabel("share of images", fontsize=9)
    put_title(figure, title)
    return figure


def _draw_accuracy(axes: Any, panel: ReliabilityPanel) -> None:
    width = 1 / len(panel.images)
    left = width * np.arange(len(panel.images))
    used = panel.images > 0
    axes.bar(left[used], panel.accuracy[used], width, align="edge", color=COLORS[5], edgecolor=COLORS[0])
    axes.plot(
        panel.confidence[used],
        panel.accuracy[used],
        marker="o",
        markersize=3.5,
        linestyle="none",
        clip_on=False,
        color=COLORS[1],
        label="mean confidence of the bin",
    )
    axes.plot([0, 1], [0, 1], color="#808080", linewidth=1, linestyle="--", label="accuracy = confidence")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_title(panel.title, fontsize=10)
    axes.legend(fontsize=7, loc="upper left", frameon=False)


def _draw_images(axes: Any, panel: ReliabilityPanel) -> None:
    width = 1 / len(panel.images)
    shares = panel.images / max(1, panel.images.sum())
    axes.bar(
        width * np.arange(len(shares)), shares, width, align="edge", color=COLORS[5], edgecolor=COLORS[0]
    )
    axes.set_ylim(0, max(1.05 * shares.max(), 0.1))
    axes.set_xlabel("confidence", fontsize=9)
