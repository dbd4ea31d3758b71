"""What each layer answers to one photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.report.plots.photos import Picture, show

MAPS_SHOWN = 12
_COLORMAP = "viridis"
_UNITS_PER_ROW = 128


def draw_activations(
    photo: Picture, activations: Mapping[str, npt.NDArray[np.floating]], about: str = ""
) -> Figure:
    """The photo, then a row for each layer: of maps (C, H, W) the strongest, of units (D,) all as one field.

    Each layer has its own scale, from its least to its largest answer, which stand beside it. The strongest
    maps are those of the largest mean, the strongest first.
    """
    figure = Figure(figsize=(12, 1.1 * len(activations) + 2.1), layout="constrained")
    rows = 1 + len(activations)
    grid = figure.add_gridspec(rows, MAPS_SHOWN + 2, height_ratios=[1.6] + [1] * len(activations))
    show(figure.add_subplot(grid[0, : MAPS_SHOWN + 2]), photo, "what the net sees", bold=True)
    for row, (layer, answers) in enumerate(activations.items(), start=1):
        _name(figure.add_subplot(grid[row, :2]), layer, answers)
        scale: dict[str, Any] = {
            "cmap": _COLORMAP,
            "vmin": float(answers.min()),
            "vmax": float(answers.max()),
        }
        if answers.ndim == 3 and answers[0].size > 1:
            for place, number in enumerate(strongest(answers)):
                axes = figure.add_subplot(grid[row, 2 + place])
                axes.imshow(answers[number], interpolation="nearest", **scale)
                axes.set_axis_off()
        else:
            axes = figure.add_subplot(grid[row, 2:])
            axes.imshow(_field(answers.ravel()), interpolation="nearest", aspect="auto", **scale)
            axes.set_axis_off()
    figure.suptitle(about, fontsize=11, wrap=True)
    figure.supxlabel("Dark: the least answer of the layer; bright: the largest", fontsize=9)
    return figure


def strongest(maps: npt.NDArray[np.floating], count: int = MAPS_SHOWN) -> list[int]:
    """Numbers of the maps of (C, H, W) with the largest means, the largest first."""
    return np.argsort(-maps.mean((1, 2)), kind="stable")[:count].tolist()


def _name(axes: Any, layer: str, answers: npt.NDArray[np.floating]) -> None:
    axes.set_axis_off()
    shape = " x ".join(map(str, answers.shape))
    kind = "maps" if answers.ndim == 3 else "units"
    text = f"{shape} {kind}\n{answers.min():.3g} to {answers.max():.3g}"
    axes.text(
        1, 0.62, layer, ha="right", va="bottom", fontsize=11, fontweight="bold", transform=axes.transAxes
    )
    axes.text(1, 0.55, text, ha="right", va="top", fontsize=8.5, transform=axes.transAxes)


def _field(units: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """(rows, columns) of the units in reading order, the rest left empty."""
    columns = min(_UNITS_PER_ROW, len(units))
    field = np.full(-(-len(units) // columns) * columns, np.nan)
    field[: len(units)] = units
    return field.reshape(-1, columns)
