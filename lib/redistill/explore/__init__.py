"""Instruments for an open notebook: controls, a picture that follows them, and a static twin.

Each instrument is one file and one function that returns a ``redistill.explore.panel.Panel``; its
``show()`` is live in an open notebook and the twin's figure with its table everywhere else.
"""
