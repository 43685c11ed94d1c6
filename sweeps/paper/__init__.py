"""The tables and figures of Andreis et al. 2024 (arXiv:2305.16625), declared, planned and shown."""
