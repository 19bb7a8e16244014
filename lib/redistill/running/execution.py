"""Waiting for a kernel so that whatever ends it is noticed at once and told as what it was."""

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from nbclient.exceptions import CellExecutionError

from redistill.running.kernel import Kernel
from redistill.running.memory import OomWatch
from redistill.running.progress import Watch
from redistill.running.status import Ending, RunStopped
from redistill.running.stop import Stop

T = TypeVar("T")
_TICK = 0.1  # seconds between looks at the kernel


class Guard:
    """Waits for the kernel's work, and looks all the time for what could end it."""

    def __init__(self, kernel: Kernel, watch: Watch, stop: Stop, budget: float | None) -> None:
        self.cell: int | None = None
        self._kernel, self._watch, self._stop = kernel, watch, stop
        self._oom = OomWatch()
        self._budget, self._over = budget, _deadline(budget)
        self._sampled = 0.0

    async def until(self, work: Coroutine[Any, Any, T], limit: float | None) -> T:
        """Return the result of ``work``, or raise RunStopped as soon as it cannot come any more."""
        task = asyncio.ensure_future(work)
        over = _deadline(limit)
        try:
            while True:
                await asyncio.wait({task}, timeout=_TICK)
                if task.done() and isinstance(task.exception(), CellExecutionError | None):
                    return task.result()
                await self._look(over, limit)
                if task.done():
                    return task.result()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def _look(self, over: float, limit: float | None) -> None:
        """Raise RunStopped if the kernel has died, a signal came, or time is over."""
        self._stop.check(self.cell)
        code = await self._kernel.process.poll()
        if code is not None:
            await asyncio.sleep(_TICK)  # a signal to the whole group may reach the kernel first
            self._stop.check(self.cell)
            raise RunStopped(self._death(code))
        self._watch.tick()
        moment = time.monotonic()
        if moment - self._sampled > 1:
            self._oom.sample()
            self._watch.memory.sample(self._kernel.process.pid)
            self._sampled = moment
        if moment > over:
            what = "cell" if self.cell else "kernel's start or end"
            raise RunStopped(Ending("timeout", f"the {what} took more than {limit:g} s", self.cell))
        if moment > self._over:
            cause = f"the whole run took more than {self._budget:g} s"
            raise RunStopped(Ending("timeout", cause, self.cell))

    def _death(self, code: int) -> Ending:
        if code >= 0:
            cause = f"the kernel ended itself with exit code {code}"
            return Ending("killed", cause, self.cell, code)
        if -code == signal.SIGKILL and self._oom.risen():
            peak = f"{self._watch.memory.peak / 2**30:.1f} GiB"
            cause = f"out of memory: the system killed the kernel ({peak} in use at last)"
        elif -code == signal.SIGKILL:
            cause = "the kernel was killed by SIGKILL, cause unknown"
        else:
            cause = f"the kernel was killed by {signal.Signals(-code).name}"
        return Ending("killed", cause, self.cell, 128 - code)


def _deadline(seconds: float | None) -> float:
    return math.inf if seconds is None else time.monotonic() + seconds
