"""Architectures by the names that `--arch` takes."""
