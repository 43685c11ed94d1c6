"""Set-based neural network encoding: networks in, properties out."""
