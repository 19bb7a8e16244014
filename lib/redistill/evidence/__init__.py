"""Runs packed with all that proves them, and the checks of such a pack."""
