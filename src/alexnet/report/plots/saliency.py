"""Saliency maps over photos: Grad-CAM and occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import put_title, short, show

_HEAT, _DROP = "magma", "PuOr"
_ROW_INCHES = 2.3
LEAST_EFFECT = 0.005
"""A smaller drop of the probability, or an empty map, is practically no effect."""
NO_EFFECT = "practically no effect"


@dataclass(frozen=True, eq=False)
class SaliencyRow:
    """One view with its maps."""

    view: Pixels
    name: str
    """Of the class that the maps explain."""
    probability: float
    heat: npt.NDArray[np.floating]
    """(H, W) in [0, 1], Grad-CAM."""
    drop: npt.NDArray[np.floating] | None = None
    """(rows, columns) the drops of the probability by the position of the occluding square."""
    true_name: str = ""


def draw_saliency(rows: Sequence[SaliencyRow], title: str = "", how: str = "") -> Figure:
    """A row for each view: the input, its Grad-CAM map over the gray view and its occlusion map, if any.

    `how` is a note below the figure, `title` its title.
    """
    columns = 3 if any(row.drop is not None for row in rows) else 2
    size = (_ROW_INCHES * columns + 1.2, _ROW_INCHES * len(rows) + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    largest = max((float(np.abs(row.drop).max()) for row in rows if row.drop is not None), default=0.0)
    largest = max(largest, LEAST_EFFECT)
    for axes, row in zip(grid, rows, strict=True):
        truth = f"true class: {short(row.true_name)}\n" if row.true_name else ""
        show(axes[0], row.view, f"{truth}{short(row.name)} {row.probability:.2f}", bold=True)
        heat = _overlay(axes[1], row.view, row.heat, {"cmap": _HEAT, "vmin": 0, "vmax": 1})
        _bar(figure, heat, axes[1], "relative to the maximum")
        axes[1].set_title("" if row.heat.any() else NO_EFFECT, fontsize=9)
        if row.drop is not None:
            scale = {"cmap": _DROP, "vmin": -largest, "vmax": largest}
            drop = _overlay(axes[2], row.view, row.drop, scale)
            _bar(figure, drop, axes[2], "drop of probability")
            axes[2].set_title("" if np.abs(row.drop).max() >= LEAST_EFFECT else NO_EFFECT, fontsize=9)
    titles = ("input", "Grad-CAM", "occlusion")
    for axes, name in zip(grid[0], titles[:columns], strict=True):
        axes.set_title(f"{name}\n{axes.get_title()}", fontsize=9, fontweight="bold")
    put_title(figure, title)
    figure.supxlabel(how, fontsize=9)
    return figure


def _overlay(axes: Any, view: Pixels, values: npt.NDArray[np.floating], scale: dict[str, Any]) -> Any:
    """Draws the values over the gray view, stretched to its size; returns what a color bar needs."""
    show(axes, view.mean(axis=2, keepdims=True).astype(np.uint8))
    height, width = view.shape[:2]
    inside = (-0.5, width - 0.5, height - 0.5, -0.5)
    return axes.imshow(values, alpha=0.6, extent=inside, interpolation="bilinear", **scale)


def _bar(figure: Figure, mappable: Any, axes: Any, label: str) -> None:
    bar: Any = figure.colorbar(mappable, ax=axes, shrink=0.8, aspect=12)
    bar.solids.set(alpha=1)
    bar.ax.tick_params(labelsize=7.5)
    bar.set_label(label, fontsize=8)
