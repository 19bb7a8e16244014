"""What looks on while a notebook is executed: progress, heartbeat, cell times, peak memory."""

import time
from collections.abc import Callable
from typing import Any

from redistill.memory import MemoryWatch
from redistill.progress import Progress
from redistill.status import BEAT


class Watch:
    """Told by the execution of every cell that begins and ends, and ten times a second between.

    Attributes:
        seconds: wall time of each code cell that ran to its end, in order.
        facts: what the kernel said of itself after the last cell.
        memory: the kernel's peak.
    """

    def __init__(
        self, progress: Progress, beat: Callable[[int | None, int], None] | None = None
    ) -> None:
        """``beat(cell, cells)`` is called when a cell begins and every ``BEAT`` seconds."""
        self.seconds: list[float] = []
        self.facts: dict[str, Any] = {}
        self.memory = MemoryWatch()
        self._progress = progress
        self._beat = beat or (lambda cell, cells: None)
        self._cell: int | None = None
        self._cells = 0
        self._began = self._beaten = time.monotonic()

    def begin(self, cell: int, cells: int, title: str) -> None:
        """Note that a code cell begins."""
        self._cell, self._cells = cell, cells
        self._began = time.monotonic()
        self._progress.begin(cell, cells, title)
        self._pulse()

    def tick(self, pid: int) -> None:
        """Note that the kernel, process ``pid``, is still at it."""
        self.memory.sample(pid)
        self._progress.tick()
        if time.monotonic() - self._beaten > BEAT:
            self._pulse()

    def finish(self) -> None:
        """Note that the code cell has ended well."""
        self.seconds.append(round(time.monotonic() - self._began, 3))
        self._progress.finish()

    def close(self) -> None:
        """Nothing more will come."""
        self._progress.close()

    def _pulse(self) -> None:
        self._beaten = time.monotonic()
        self._beat(self._cell, self._cells)
