"""Run directories, which training writes and everything else reads. Importing this package does not load
torch."""
