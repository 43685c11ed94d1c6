"""Looking at a zoo: statistics of its networks, what explains them, tables and plots."""
