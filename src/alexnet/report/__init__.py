"""Reports and tables about runs. Importing this package does not load torch."""
