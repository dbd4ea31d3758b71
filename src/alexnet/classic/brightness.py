"""Colour photos as grey ones, for descriptors of shape and of texture."""

from __future__ import annotations

from torch import Tensor

BRIGHTNESS = (0.299, 0.587, 0.114)
"""Of R, G and B (ITU-R BT.601)."""


def brightness(images: Tensor) -> Tensor:
    """(N, 3, H, W) in any unit -> (N, H, W) in the same."""
    red, green, blue = images.unbind(1)
    return BRIGHTNESS[0] * red + BRIGHTNESS[1] * green + BRIGHTNESS[2] * blue
