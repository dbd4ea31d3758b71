"""Figures from arrays: `draw_x(arrays) -> Figure`. One file per subject; nothing here imports torch."""

from __future__ import annotations

import matplotlib as mpl

mpl.rcParams["text.parse_math"] = False  # names may hold a $
