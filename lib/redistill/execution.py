"""Executing a notebook so that whatever ends it is noticed at once and told as what it was."""

import ast
import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from redistill.cell_state import CellStates
from redistill.kernel import Kernel, open_kernel
from redistill.memory import OomWatch
from redistill.status import Ending, RunStopped
from redistill.stop import Stop, stop_signals
from redistill.watch import Watch

T = TypeVar("T")
_TICK = 0.1  # seconds between looks at the kernel
_IOPUB_PATIENCE = 60  # seconds for outputs to arrive after their cell has ended
_FACTS = "__import__('redistill.environment', fromlist=['_']).kernel_facts()"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds a cell, the whole notebook, and the kernel's start may take; None is no limit."""

    cell: float | None = None
    run: float | None = None
    start: float = 60


def execute(
    nb: Any,
    *,
    save: Callable[[Any], None],
    watch: Watch,
    limits: Limits,
    cwd: Path,
    env: Mapping[str, str],
) -> Any:
    """Execute ``nb`` in place and return it; after an error in a cell, the rest stays pending.

    Raises:
        RunStopped: the kernel died, time ran out, or a signal asked to stop.
        OSError: the notebook could not be saved.
    """
    states = CellStates(nb, save)
    try:
        with stop_signals() as stop:
            _run(_execute(states, watch, limits, stop, cwd, env))
            stop.check()
    except BaseException as error:
        ending = getattr(error, "ending", Ending("failed", f"{type(error).__name__}: {error}"))
        with contextlib.suppress(OSError):  # the disk may be what failed; the error goes on
            states.end(ending)
        raise
    finally:
        watch.close()
    states.end()
    return nb


async def _execute(
    states: CellStates, watch: Watch, limits: Limits, stop: Stop, cwd: Path, env: Mapping[str, str]
) -> None:
    async with open_kernel(cwd=cwd, env=env) as kernel:
        guard = _Guard(kernel, watch, stop, limits.run)
        await guard.until(kernel.client.wait_for_ready(timeout=limits.start + 5), limits.start)
        client = NotebookClient(
            states.nb,
            km=kernel.manager,
            iopub_timeout=_IOPUB_PATIENCE,
            record_timing=False,
            store_widget_state=False,
        )
        client.kc = kernel.client
        cells = _code_cells(states.nb)
        for number, (index, title) in enumerate(cells, start=1):
            guard.cell = number
            watch.begin(number, len(cells), title)
            states.begin(index)
            work = client.async_execute_cell(states.nb.cells[index], index)
            try:
                await guard.until(work, limits.cell)
            except CellExecutionError:
                states.finish(index, failed=True)
                return
            states.finish(index)
            watch.finish()
        guard.cell = None
        watch.memory.sample(kernel.pid, now=True)
        watch.facts = await guard.until(_facts(kernel), limits.start)
        kernel.polite = True


class _Guard:
    """Waits for the kernel's work, and looks all the time for what could end it."""

    def __init__(self, kernel: Kernel, watch: Watch, stop: Stop, budget: float | None) -> None:
        self.cell: int | None = None
        self._kernel, self._watch, self._stop = kernel, watch, stop
        self._oom = OomWatch()
        self._budget = budget
        self._over = None if budget is None else time.monotonic() + budget
        self._sampled = time.monotonic()

    async def until(self, work: Coroutine[Any, Any, T], limit: float | None) -> T:
        """Return the result of ``work``, or raise RunStopped as soon as it cannot come any more."""
        task = asyncio.ensure_future(work)
        over = None if limit is None else time.monotonic() + limit
        try:
            while True:
                await asyncio.wait({task}, timeout=_TICK)
                if task.done() and (task.cancelled() or task.exception() is None):
                    return task.result()
                if task.done() and isinstance(task.exception(), CellExecutionError):
                    return task.result()
                await self._look(over, limit)
                if task.done():
                    return task.result()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    async def _look(self, over: float | None, limit: float | None) -> None:
        """Raise RunStopped if the kernel has died, a signal came, or time is over."""
        self._stop.check(self.cell)
        code = await self._kernel.exit_code()
        if code is not None:
            await asyncio.sleep(_TICK)  # a signal to the whole group may reach the kernel first
            self._stop.check(self.cell)
            raise RunStopped(self._death(code))
        self._watch.tick(self._kernel.pid)
        moment = time.monotonic()
        if moment - self._sampled > 1:
            self._oom.sample()
            self._sampled = moment
        if over is not None and moment > over:
            what = "cell" if self.cell else "kernel's start or end"
            raise RunStopped(Ending("timeout", f"the {what} took more than {limit:g} s", self.cell))
        if self._over is not None and moment > self._over:
            cause = f"the whole run took more than {self._budget:g} s"
            raise RunStopped(Ending("timeout", cause, self.cell))

    def _death(self, code: int) -> Ending:
        if code >= 0:
            cause = f"the kernel ended itself with exit code {code}"
            return Ending("killed", cause, self.cell, code)
        if -code == signal.SIGKILL and self._oom.risen():
            cause = f"out of memory: the system killed the kernel ({self._peak()} in use at last)"
        elif -code == signal.SIGKILL:
            cause = "the kernel was killed by SIGKILL, cause unknown"
        else:
            cause = f"the kernel was killed by {signal.Signals(-code).name}"
        return Ending("killed", cause, self.cell, 128 - code)

    def _peak(self) -> str:
        return f"{self._watch.memory.peak / 2**30:.1f} GiB"


async def _facts(kernel: Kernel) -> dict[str, Any]:
    """Ask the kernel what it computed on; it alone knows."""
    reply = await kernel.client.execute(
        "", silent=True, user_expressions={"facts": _FACTS}, reply=True
    )
    found = reply["content"]["user_expressions"]["facts"]
    if found["status"] != "ok":
        return {}
    return json.loads(ast.literal_eval(found["data"]["text/plain"]))


def _code_cells(nb: Any) -> list[tuple[int, str]]:
    """Return (index, heading above) of each cell that a kernel will count."""
    found, title = [], ""
    for index, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            title = headings[-1].lstrip("# ") if headings else title
        elif cell.cell_type == "code" and cell.source.strip():
            found.append((index, title))
    return found


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also from inside a notebook, where a loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
