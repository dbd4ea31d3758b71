"""Photos in a picture."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Picture: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) in RGB, or (H, W, 1) where it is gray."""

SMALL_PIXELS = 32
"""Longer side of a picture whose pixels are seen one by one."""


def show(axes: Any, picture: Picture, title: str = "", bold: bool = False) -> None:
    """The picture, without axes, under its title; digits and other small ones show their pixels."""
    axes.set_axis_off()
    between = "nearest" if max(picture.shape[:2]) <= SMALL_PIXELS else "bicubic"
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation=between)
    axes.set_title(title, fontsize=9, fontweight="bold" if bold else "normal", pad=3)
