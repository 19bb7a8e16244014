"""Progress of a run for the person who waits: one live line, or one line per cell in a log."""

import sys
import time
from typing import TextIO


class Progress:
    """Cell k of n with its heading and seconds, on the error stream."""

    def __init__(self, *, shown: bool = True, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = shown
        self._live = shown and self._stream.isatty()
        self._now: tuple[int, int, str] = (0, 0, "")
        self._since = time.monotonic()
        self._drawn = 0.0

    def begin(self, cell: int, cells: int, title: str) -> None:
        """Show that a cell begins."""
        self._now, self._since, self._drawn = (cell, cells, title), time.monotonic(), 0.0
        self.tick()

    def tick(self) -> None:
        """Redraw the live line, at most twice a second."""
        if self._live and time.monotonic() - self._drawn > 0.5:
            self._drawn = time.monotonic()
            self._stream.write("\r\x1b[K" + self._line())
            self._stream.flush()

    def finish(self) -> None:
        """Show that the cell has ended; in a log this is its only line, if it took a second."""
        if self._shown and not self._live and time.monotonic() - self._since >= 1:
            print(self._line(), file=self._stream, flush=True)

    def close(self) -> None:
        """Clear the live line."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self) -> str:
        cell, cells, title = self._now
        return f"cell {cell}/{cells} {time.monotonic() - self._since:6.1f} s  {title}".rstrip()[
            :100
        ]
