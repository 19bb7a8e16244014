"""Losses on frequencies: of features over time, and of kernels over space."""
