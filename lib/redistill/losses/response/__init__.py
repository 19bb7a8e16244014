"""Losses on what networks answer."""
