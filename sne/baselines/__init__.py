"""Models that stand beside SNE, each in its file; `sne.models` names them."""
