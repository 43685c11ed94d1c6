"""What the project promises about speed and memory, as commands: `python -m benchmarks.run`."""
