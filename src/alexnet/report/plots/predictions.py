"""Photos with their most probable classes, as in the paper's figure 4, and misclassified images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from alexnet.data.decode import Pixels
from alexnet.report.plots.style import COLORS, PHOTOS_PER_ROW, put_title, short, show

MISTAKES_SHOWN = 200
"""Largest number of mistakes that are drawn; of more, an even selection."""
CELL_INCHES = 0.62
"""Width of an image; with the names below it, a cell is a little higher."""
CLASSES_PER_PHOTO = 5
KINDS = f"correct, true class ranked 2 to {CLASSES_PER_PHOTO}, and ranked lower"
"""The kinds of `choose_examples`, in the words of `verdict`."""
_RIGHT, _WRONG = COLORS[4], COLORS[5]


def draw_predictions(
    images: Sequence[Pixels],
    true_names: Sequence[str],
    top: Sequence[Sequence[tuple[str, float]]],
    title: str = "",
    named: Literal["true class", "label"] = "true class",
) -> Figure:
    """Each photo above its true class and bars of its most probable classes (name, probability).

    The bar of the true class is orange and its name bold, if it is among them; the title of the photo states
    whether it is, unless the names are doubted labels (`named`). `title` is the figure's. Source: figure 4,
    left.
    """
    columns = max(1, min(PHOTOS_PER_ROW, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(2.5 * columns, 3.5 * rows + 0.5), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2, 1] * rows)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (image, true_name, best) in enumerate(zip(images, true_names, top, strict=True)):
        row, column = 2 * (place // columns), place % columns
        photo = grid[row, column]
        show(photo, image, verdict(true_name, [name for name, _ in best]) if named == "true class" else "")
        photo.set_anchor("S")  # photos of any shape are placed just above their names
        _draw_bars(grid[row + 1, column], true_name, best)
    put_title(figure, title)
    figure.supxlabel(f"Above the bars: the {named}; orange: its predicted probability", fontsize=9)
    return figure


def choose_examples(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], each: int = PHOTOS_PER_ROW
) -> npt.NDArray[np.int64]:
    """Indices of images to draw: `each` of each of the `KINDS`.

    Images of each kind are spread evenly through the split; if there are too few of one kind, more of the
    next kinds are taken.
    """
    true = np.take_along_axis(probabilities, labels[:, None].astype(np.int64), axis=1)
    ranks = (probabilities >= true).sum(axis=1) - 1
    kinds = (ranks == 0, (ranks > 0) & (ranks < CLASSES_PER_PHOTO), ranks >= CLASSES_PER_PHOTO)
    chosen: list[int] = []
    for number, kind in enumerate(kinds, start=1):
        found = np.flatnonzero(kind)
        places = np.linspace(0, len(found) - 1, min(number * each - len(chosen), len(found)))
        chosen += found[places.astype(int)].tolist()
    return np.array(chosen, np.int64)


def verdict(true_name: str, top: Sequence[str]) -> str:
    """Description of whether the true class is first, later, or not among the predictions."""
    if true_name not in top:
        return f"not among these {len(top)}"
    place = list(top).index(true_name) + 1
    return "correct" if place == 1 else f"true class ranked {place}"


def _draw_bars(axes: Any, true_name: str, top: Sequence[tuple[str, float]]) -> None:
    axes.set_title(short(true_name), fontsize=10, fontweight="bold")
    places = range(len(top))
    colors = [_RIGHT if name == true_name else _WRONG for name, _ in top]
    axes.barh(places, [probability for _, probability in top], color=colors, height=0.85)
    for place, (name, probability) in enumerate(top):
        weight = "bold" if name == true_name else "normal"
        label = f"{short(name)}  {probability:.2f}"
        axes.text(0.015, place, label, va="center", fontsize=8, fontweight=weight)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(top) - 0.4, -0.6)


def draw_mistakes(
    images: Sequence[npt.NDArray[np.uint8]],
    true_names: Sequence[str],
    predicted_names: Sequence[str],
    title: str = "",
) -> Figure:
    """Each misclassified image (H, W, C) above "true class -> predicted class", in reading order.

    Of more than `MISTAKES_SHOWN` images, an even selection is drawn; `title` is the figure's. Source: LeCun
    et al. 1998, figure 8.
    """
    shown = np.linspace(0, len(images) - 1, min(len(images), MISTAKES_SHOWN)).astype(int).tolist()
    columns = max(1, min(20, math.ceil(1.2 * math.sqrt(len(shown)))))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(CELL_INCHES * columns, 1.25 * CELL_INCHES * rows + 0.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # pyright: ignore
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, number in zip(grid.flat, shown, strict=False):
        axes.imshow(images[number], cmap="gray_r", vmin=0, vmax=255)  # ink is black on paper; colors stay
        pair = f"{true_names[number]}\N{RIGHTWARDS ARROW}{predicted_names[number]}"
        axes.set_title(pair, y=-0.07, va="top", fontsize=7.5)
    if title:
        put_title(figure, title)
    some = f"{len(shown)} of " if len(shown) < len(images) else ""
    figure.supxlabel(
        f"{some}{len(images):,} misclassified: true class \N{RIGHTWARDS ARROW} predicted class", fontsize=8
    )
    return figure
