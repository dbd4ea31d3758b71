"""Pictures from arrays: draw_x(arrays) -> Figure. No torch in here."""

from __future__ import annotations

import matplotlib as mpl

mpl.rcParams["text.parse_math"] = False  # names are text, also those with a $ in them
