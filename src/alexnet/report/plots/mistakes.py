"""All images that a net got wrong, with what they are and what it said."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

SHOWN = 200
"""Of more mistakes every n-th is shown."""
CELL_INCHES = 0.62
"""Width of an image; with the names below it is a little higher."""


def draw_mistakes(
    images: Sequence[npt.NDArray[np.uint8]],
    true_names: Sequence[str],
    answers: Sequence[str],
    about: str = "",
) -> Figure:
    """Each image (H, W, C), of three channels or one, over "true -> said", in reading order.

    Of more than `SHOWN` as many, evenly from all of them; `about` is the title.
    Source: LeCun et al. 1998, figure 8.
    """
    shown = np.linspace(0, len(images) - 1, min(len(images), SHOWN)).astype(int).tolist()
    columns = max(1, min(20, math.ceil(1.2 * math.sqrt(len(shown)))))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(CELL_INCHES * columns, 1.25 * CELL_INCHES * rows + 0.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # pyright: ignore
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, number in zip(grid.flat, shown, strict=False):
        axes.imshow(images[number], cmap="gray_r", vmin=0, vmax=255)  # ink is black on paper; colors stay
        said = f"{true_names[number]}\N{RIGHTWARDS ARROW}{answers[number]}"
        axes.set_title(said, y=-0.07, va="top", fontsize=7.5)
    if about:
        figure.suptitle(about, fontsize=11, wrap=True)
    some = f"{len(shown)} of " if len(shown) < len(images) else ""
    figure.supxlabel(
        f"{some}{len(images):,} misread: what it is \N{RIGHTWARDS ARROW} what was said", fontsize=8
    )
    return figure
