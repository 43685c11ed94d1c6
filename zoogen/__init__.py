"""Model zoos: make them, read them, check them. Importing this package loads neither torch nor Ray."""

__version__ = "0.1.0"
