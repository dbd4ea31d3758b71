"""Training: from a configuration and a store to a run directory. Start reading at `trainer`."""
