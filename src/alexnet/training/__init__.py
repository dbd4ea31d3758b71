"""One training run, from recipe and store to run folder."""
