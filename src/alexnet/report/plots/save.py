"""Writes a figure to a file; and the colors that all figures share."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from alexnet.errors import WorkError

# Okabe and Ito's colors, told apart by everybody; black last, where a figure needs many.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DOTS_PER_INCH = 150
FORMS = (".png", ".svg")
"""Of a figure that is kept for pages and for slides."""


def save(figure: Figure, path: Path) -> Path:
    """The path, written as PNG, SVG or PDF by its suffix; the same figure gives the same PNG to the byte.

    WorkError where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DOTS_PER_INCH)
    except OSError as error:
        raise WorkError(f"cannot write {path} ({error.strerror or error}): choose another place") from error
    return path
