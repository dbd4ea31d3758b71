"""The run folder: what training leaves for everything after it. No torch in here."""
