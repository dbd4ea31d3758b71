"""Import and export: models to and from other frameworks, and published weights."""
