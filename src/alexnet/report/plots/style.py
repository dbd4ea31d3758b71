"""Common style of all figures: colors, titles, names, and how a photo is shown."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from alexnet.data.decode import Pixels
from alexnet.text import printable

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colors, which color-blind readers can tell apart; black last, where a figure needs many."""
DOTS_PER_INCH = 150
SMALL_PIXELS = 32
"""An image whose longer side is this or less is shown pixel by pixel."""

PHOTOS_PER_ROW = 4
"""Of figures that show many."""


def put_title(figure: Figure, title: str, points: int = 11) -> None:
    """Writes the title above the figure, in several lines if it is long."""
    figure.suptitle(escaped(title), fontsize=points, wrap=True, parse_math=True)


def escaped(text: str) -> str:
    """A text to be wrapped, in which a dollar sign is literal.

    Matplotlib measures lines of wrapped text as mathematics even where `text.parse_math` is off.
    """
    return text.replace("$", r"\$")


def short(name: str, characters: int = 26) -> str:
    """The first of several synonyms, printable and cut to fit."""
    first = printable(name.split(",")[0])
    return first if len(first) <= characters else first[: characters - 1] + "…"


def figure_title(run: str, data: str, images: int | None) -> str:
    """The title of a figure, such as `modern - nette val, 1,975 images`; None if the number is unknown."""
    many = "" if images is None else f", {images:,} image{'' if images == 1 else 's'}"
    return f"{run} \N{EN DASH} {data}{many}"


def show(axes: Any, picture: Pixels, title: str = "", bold: bool = False) -> None:
    """Draws the picture, (H, W, 3) in RGB or (H, W, 1) in gray, without axes, under its title.

    Small pictures such as digits show their pixels.
    """
    axes.set_axis_off()
    between = "nearest" if max(picture.shape[:2]) <= SMALL_PIXELS else "bicubic"
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation=between)
    axes.set_title(title, fontsize=9, fontweight="bold" if bold else "normal", pad=3)
