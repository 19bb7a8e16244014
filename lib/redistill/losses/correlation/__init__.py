"""Losses on how two networks correlate."""
