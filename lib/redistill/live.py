"""One live line in an open notebook; silence wherever the output is kept."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np


def is_watched() -> bool:
    """Return whether somebody has this notebook open: no run, no test, no plain Python."""
    if "REDISTILL_RUN_DIR" in os.environ or os.environ.get("REDISTILL_PROGRESS") == "0":
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


class Line:
    """A line of text that replaces itself, for ``run_phase(tick=...)``.

    It shows only in a notebook that somebody has open: not under ``redistill run`` (which shows
    its own progress) and not where ``REDISTILL_PROGRESS=0`` is set (as the tests do), so that no
    saved notebook holds a trace of it.
    """

    def __init__(self) -> None:
        self._handle = None
        if is_watched():
            from IPython.display import display

            self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def say(self, text: str) -> None:
        """Replace the line by ``text``; an empty text takes it away."""
        if self._handle is not None:
            self._handle.update({"text/plain": text}, raw=True)

    def epoch(self, name: str, line: Mapping[str, Any]) -> None:
        """Show a line of a phase's journal; of several networks, the mean accuracy."""
        val = f", validation {100 * np.mean(line['val']):.1f} %" if "val" in line else ""
        self.say(f"{name}: epoch {line['epoch']:.0f}, loss {line['loss']:.3f}{val}")
