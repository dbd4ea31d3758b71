"""The constants of one response normaliser, as its implementations share them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """b = a * (k + alpha * sum of squares over the window) ** -beta."""

    size: int
    """Maps, from `size // 2` before; or pixels on a side, centred."""
    alpha: float
    """Of each square: already divided by the window's size where the convention says so."""
    beta: float
    k: float
    groups: int = 1
    """Towers: equal blocks of maps that no window leaves."""
    within_map: bool = False
    """The window is a square of one map's pixels instead of a run of maps at one pixel."""

    @property
    def before(self) -> int:
        """Maps of the window before its own; an even window has one more of them than after."""
        return self.size // 2

    @property
    def after(self) -> int:
        """Maps of the window after its own."""
        return self.size - 1 - self.size // 2
