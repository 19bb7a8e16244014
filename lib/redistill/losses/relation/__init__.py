"""Losses on how the clips of a batch relate."""
