"""Losses on maps of features."""
