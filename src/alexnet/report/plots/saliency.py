"""Saliency maps over photos: Grad-CAM and occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.report.plots.style import Picture, short, show

Maps = Sequence[npt.NDArray[np.floating]]
_HEAT, _DROP = "magma", "PuOr"
_ROW_INCHES = 2.3


def draw_saliency(
    views: Sequence[Picture],
    predicted: Sequence[tuple[str, float]],
    heats: Maps,
    drops: Maps = (),
    title: str = "",
    true_names: Sequence[str] = (),
    how: str = "",
) -> Figure:
    """A row for each view: the input, its Grad-CAM map and its occlusion map.

    `predicted` are the class (name, probability) that the maps explain; `heats` (H, W) in [0, 1] are drawn
    over the gray view; `drops` (rows, columns) are the drops of the probability by the position of the
    occluding square. `how` is a note below the figure, `title` its title.
    """
    columns = 3 if len(drops) else 2
    size = (_ROW_INCHES * columns + 1.2, _ROW_INCHES * len(views) + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(views), columns, squeeze=False)
    largest = max((float(np.abs(drop).max()) for drop in drops), default=0.0) or 1.0
    for row, (axes, view, (name, probability)) in enumerate(zip(grid, views, predicted, strict=True)):
        truth = f"true class: {short(true_names[row])}\n" if len(true_names) else ""
        show(axes[0], view, f"{truth}{short(name)} {probability:.2f}", bold=True)
        heat = _overlay(axes[1], view, heats[row], {"cmap": _HEAT, "vmin": 0, "vmax": 1})
        _bar(figure, heat, axes[1], "relative to the maximum")
        if len(drops):
            scale = {"cmap": _DROP, "vmin": -largest, "vmax": largest}
            drop = _overlay(axes[2], view, drops[row], scale)
            _bar(figure, drop, axes[2], "drop of probability")
    titles = ("input", "Grad-CAM", "occlusion")
    for axes, name in zip(grid[0], titles[:columns], strict=True):
        axes.set_title(f"{name}\n{axes.get_title()}", fontsize=9, fontweight="bold")
    figure.suptitle(title, fontsize=11, wrap=True)
    figure.supxlabel(how, fontsize=9)
    return figure


def _overlay(axes: Any, view: Picture, values: npt.NDArray[np.floating], scale: dict[str, Any]) -> Any:
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
