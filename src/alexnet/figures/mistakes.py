"""All images that a net got wrong, with what they are and what it said."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

CELL_INCHES = 0.62
"""Width of an image; with the names below it is a little higher."""


def draw_mistakes(
    images: Sequence[npt.NDArray[np.uint8]], true_names: Sequence[str], answers: Sequence[str]
) -> Figure:
    """Each image (H, W, C), of three channels or one, over "true -> said", in reading order.

    Source: LeCun et al. 1998, figure 8.
    """
    columns = max(1, min(20, math.ceil(1.2 * math.sqrt(len(images)))))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(CELL_INCHES * columns, 1.25 * CELL_INCHES * rows + 0.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # pyright: ignore
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, true_name, answer in zip(grid.flat, images, true_names, answers, strict=False):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)  # ink is black on paper; colours stay
        axes.set_title(f"{true_name}\N{RIGHTWARDS ARROW}{answer}", y=-0.07, va="top", fontsize=7.5)
    figure.supxlabel(f"{len(images):,} misread: what it is \N{RIGHTWARDS ARROW} what was said", fontsize=8)
    return figure
