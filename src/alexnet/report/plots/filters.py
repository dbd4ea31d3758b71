"""The kernels of the first layer, as the paper shows them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.report.plots.style import put_title

KERNELS_PER_ROW = 16
_GAP_PIXELS = 1


def draw_filters(
    weights: npt.NDArray[np.floating], towers: int = 2, title: str = "", layer: str = "conv1"
) -> Figure:
    """All kernels of the first layer, (F, 3, H, W) in RGB or (F, 1, H, W) in gray, one panel per tower.

    Mid-gray is 0; each kernel is scaled by its own largest weight. `title` is the figure's. Source: figure 3
    (96 kernels, 48 on each GPU).
    """
    parts = np.split(weights, towers)
    rows = -(-len(parts[0]) // KERNELS_PER_ROW)
    figure = Figure(figsize=(8, towers * (0.5 * rows + 0.3)), layout="constrained")
    for tower, (axes, part) in enumerate(
        zip(figure.subplots(towers, squeeze=False)[:, 0], parts, strict=True)
    ):
        axes.imshow(_mosaic(part), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
        size = f"{part.shape[2]} x {part.shape[3]} x {part.shape[1]}"
        where = f"Tower {tower + 1}: " if towers > 1 else ""
        axes.set_title(f"{where}{len(part)} kernels of {layer}, {size}", fontsize=10, loc="left")
    if title:
        put_title(figure, title)
    return figure


def _mosaic(kernels: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(rows, columns, channels) in [0, 1]: kernels side by side on white."""
    count, channels, height, width = kernels.shape
    rows = -(-count // KERNELS_PER_ROW)
    tall, wide = height + _GAP_PIXELS, width + _GAP_PIXELS
    mosaic = np.ones((rows * tall - _GAP_PIXELS, min(count, KERNELS_PER_ROW) * wide - _GAP_PIXELS, channels))
    for place, kernel in enumerate(kernels):
        top, left = place // KERNELS_PER_ROW * tall, place % KERNELS_PER_ROW * wide
        largest = np.abs(kernel).max() or 1.0
        shown = 0.5 + 0.5 * kernel.transpose(1, 2, 0) / largest
        mosaic[top : top + height, left : left + width] = shown
    return mosaic
