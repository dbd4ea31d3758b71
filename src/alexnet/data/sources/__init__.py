"""The raw forms in which labelled photos come, one per file."""
