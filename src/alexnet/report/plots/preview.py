"""Training photos beside their augmentations and test crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import put_title, short, show

_INCHES = 1.15
"""Side of a picture."""


def draw_preview(
    names: Sequence[str],
    stored: Sequence[Pixels],
    augmented: Sequence[Sequence[Pixels]],
    tested: Sequence[Sequence[Pixels]],
    title: str = "",
) -> Figure:
    """A row for each photo: as it is stored, augmented in each of several epochs, and its test crops.

    Pictures are uint8 (H, W, C). `names` are those of the classes.
    """
    widths = [1, len(augmented[0]), len(tested[0])]
    size = (_INCHES * sum(widths) + 0.5, (_INCHES + 0.17) * len(names) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    parts: Any = figure.subfigures(1, 3, width_ratios=widths)
    titles = ("stored", "augmented, epochs 1, 2, ...", "test crops")
    titles = titles if widths[2] > 1 else (*titles[:2], "test crop")
    for part, heading, width, rows in zip(
        parts, titles, widths, ([[each] for each in stored], augmented, tested), strict=True
    ):
        part.suptitle(heading, fontsize=10, fontweight="bold")
        grid = part.subplots(len(names), width, squeeze=False)
        for axes_row, pictures, name in zip(grid, rows, names, strict=True):
            for axes, picture in zip(axes_row, pictures, strict=True):
                show(axes, picture, short(name, 14) if part is parts[0] else " ")
    put_title(figure, title)
    return figure
