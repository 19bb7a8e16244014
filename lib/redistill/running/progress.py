"""What looks on while a notebook is executed: progress, heartbeat, cell times, peak memory."""

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from redistill.running.memory import MemoryWatch
from redistill.running.status import BEAT


class Progress:
    """Cell k of n with its heading and seconds, on the error stream.

    For the person who waits: one live line, or one line per cell in a log.
    """

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
        seconds = time.monotonic() - self._since
        return f"cell {cell}/{cells} {seconds:6.1f} s  {title}".rstrip()[:100]


class Watch:
    """Told by the execution of every cell that begins and ends, and ten times a second between.

    Attributes:
        seconds: wall time of each code cell that ran to its end, in order.
        facts: what the kernel said of itself after the last cell.
        progress: what the person who waits sees.
        memory: the kernel's peak.
    """

    def __init__(
        self, progress: Progress, beat: Callable[[int | None, int], None] | None = None
    ) -> None:
        """``beat(cell, cells)`` is called when a cell begins and every ``BEAT`` seconds."""
        self.seconds: list[float] = []
        self.facts: dict[str, Any] = {"device": None, "threads": None}
        self.progress = progress
        self.memory = MemoryWatch()
        self._beat = beat or (lambda cell, cells: None)
        self._cell: int | None = None
        self._cells = 0
        self._began = self._beaten = time.monotonic()

    def begin(self, cell: int, cells: int, title: str) -> None:
        """Note that a code cell begins."""
        self._cell, self._cells = cell, cells
        self._began = time.monotonic()
        self.progress.begin(cell, cells, title)
        self._pulse()

    def tick(self) -> None:
        """Note that the kernel is still at it."""
        self.progress.tick()
        if time.monotonic() - self._beaten > BEAT:
            self._pulse()

    def finish(self) -> None:
        """Note that the code cell has ended well."""
        self.seconds.append(round(time.monotonic() - self._began, 3))
        self.progress.finish()

    def _pulse(self) -> None:
        self._beaten = time.monotonic()
        self._beat(self._cell, self._cells)
