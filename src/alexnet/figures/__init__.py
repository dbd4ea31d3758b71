"""Pictures from arrays: draw_x(arrays) -> Figure. No torch in here."""
