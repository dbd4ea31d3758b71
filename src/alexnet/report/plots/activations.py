"""Activations of each layer for one photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import put_title, show

MAPS_SHOWN = 12
_COLORMAP = "viridis"
_UNITS_PER_ROW = 128


def draw_activations(
    photo: Pixels, activations: Mapping[str, npt.NDArray[np.floating]], about: str = ""
) -> Figure:
    """The photo, then a row for each layer: the strongest of its maps (C, H, W), or all its units (D,).

    Each layer has its own color scale, from its smallest to its largest activation, which are printed next to
    it. The strongest maps are those with the largest mean, in descending order.
    """
    figure = Figure(figsize=(12, 1.1 * len(activations) + 2.1), layout="constrained")
    rows = 1 + len(activations)
    grid = figure.add_gridspec(rows, MAPS_SHOWN + 2, height_ratios=[1.6] + [1] * len(activations))
    show(figure.add_subplot(grid[0, : MAPS_SHOWN + 2]), photo, "the model's input", bold=True)
    for row, (layer, values) in enumerate(activations.items(), start=1):
        _name(figure.add_subplot(grid[row, :2]), layer, values)
        scale: dict[str, Any] = {
            "cmap": _COLORMAP,
            "vmin": float(values.min()),
            "vmax": float(values.max()),
        }
        if values.ndim == 3 and values[0].size > 1:
            for place, number in enumerate(strongest(values)):
                axes = figure.add_subplot(grid[row, 2 + place])
                axes.imshow(values[number], interpolation="nearest", **scale)
                axes.set_axis_off()
        else:
            axes = figure.add_subplot(grid[row, 2:])
            axes.imshow(_field(values.ravel()), interpolation="nearest", aspect="auto", **scale)
            axes.set_axis_off()
    put_title(figure, about)
    figure.supxlabel("Dark: the layer's smallest activation; bright: its largest", fontsize=9)
    return figure


def strongest(maps: npt.NDArray[np.floating], count: int = MAPS_SHOWN) -> list[int]:
    """Indices of the maps of (C, H, W) with the largest means, in descending order."""
    return np.argsort(-maps.mean((1, 2)), kind="stable")[:count].tolist()


def _name(axes: Any, layer: str, values: npt.NDArray[np.floating]) -> None:
    axes.set_axis_off()
    shape = " x ".join(map(str, values.shape))
    kind = "maps" if values.ndim == 3 else "units"
    text = f"{shape} {kind}\n{values.min():.3g} to {values.max():.3g}"
    axes.text(
        1, 0.62, layer, ha="right", va="bottom", fontsize=11, fontweight="bold", transform=axes.transAxes
    )
    axes.text(1, 0.55, text, ha="right", va="top", fontsize=8.5, transform=axes.transAxes)


def _field(units: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """(rows, columns) with the units in reading order, the rest NaN."""
    columns = min(_UNITS_PER_ROW, len(units))
    field = np.full(-(-len(units) // columns) * columns, np.nan)
    field[: len(units)] = units
    return field.reshape(-1, columns)
