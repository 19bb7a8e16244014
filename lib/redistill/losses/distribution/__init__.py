"""Losses on how features are distributed."""
