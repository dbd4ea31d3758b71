"""Speed and memory, as ratios to a peer and to the machine's limit, measured in one run."""
