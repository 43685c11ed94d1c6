"""Image data sets: which there are, where they lie, how they are decoded, prepared and cached."""
