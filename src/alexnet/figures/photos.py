"""Photos in a picture."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Picture: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) in RGB, or (H, W, 1) where it is grey."""


def show(axes: Any, picture: Picture, title: str = "", bold: bool = False) -> None:
    """The picture, without axes, under its title."""
    axes.set_axis_off()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=9, fontweight="bold" if bold else "normal", pad=3)
