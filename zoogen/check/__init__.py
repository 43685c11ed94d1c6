"""Checking a zoo: every file, row and column against the plan; some networks against the data."""
