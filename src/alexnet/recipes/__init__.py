"""Configuration as code: each recipe is a function returning one RunConfig."""
