"""The papermill engine of this suite: papermill's metadata, with the truth in it.

Papermill's own engine marks every cell of a notebook whose kernel died as completed.  This one
marks what ran as run, what did not as pending, and raises.  It imports papermill late, because
papermill imports it (entry point ``papermill.engine``) while it is itself being imported.
"""

import ast
import asyncio
import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from redistill.files import write_atomic
from redistill.running.cell_state import CellStates
from redistill.running.execution import Guard
from redistill.running.kernel import Kernel, open_kernel
from redistill.running.progress import Progress, Watch
from redistill.running.status import Ending
from redistill.running.stop import Stop, stop_signals

_IOPUB_PATIENCE = 60  # seconds for outputs to arrive after their cell has ended
_FACTS = "__import__('redistill.running.environment', fromlist=['_']).kernel_facts()"


class RedistillEngine:
    """What papermill asks of an engine; ``papermill --engine redistill`` finds it by that name."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        execution_timeout: float | None = None,
        start_timeout: float = 60,
        progress_bar: bool | dict = True,
        **options: Any,
    ) -> Any:
        """Execute ``nb`` in place, saving it after each cell, and return it.

        The kernel is the running Python, whatever ``kernel_name`` says.  Beyond papermill's own
        options: ``save`` (called with the notebook instead of writing ``output_path``), ``watch``,
        ``kernel_cwd``, ``env`` and ``budget`` (seconds for the whole notebook).

        Raises:
            RunStopped: the kernel died, time ran out, or a signal asked to stop.  An error in
                the notebook itself does not raise here: papermill raises it afterwards, and the
                cells after it stay pending.
            OSError: the notebook could not be saved.
        """
        watch = options.get("watch") or Watch(Progress(shown=bool(progress_bar)))
        states = CellStates(nb, options.get("save") or _saver(output_path))

        async def work(stop: Stop) -> None:
            cwd, env = options.get("kernel_cwd") or Path.cwd(), options.get("env") or {}
            async with open_kernel(cwd=cwd, env=env) as kernel:
                guard = Guard(kernel, watch, stop, options.get("budget"))
                ready = kernel.client.wait_for_ready(timeout=start_timeout + 5)
                await guard.until(ready, start_timeout)
                if await _run_cells(kernel, guard, states, watch, execution_timeout):
                    watch.memory.sample(kernel.process.pid)
                    watch.facts |= await guard.until(_facts(kernel), start_timeout)
                    kernel.polite = True

        try:
            # In another thread, because inside a notebook this one has a loop that runs already.
            with stop_signals() as stop, ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, work(stop)).result()
                stop.check()
        except BaseException as error:
            ending = getattr(error, "ending", Ending("failed", f"{type(error).__name__}: {error}"))
            with contextlib.suppress(OSError):  # the disk may be what failed; the error goes on
                states.end(ending)
            raise
        finally:
            watch.progress.close()
        states.end()
        return nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the kernel's name for papermill's parameter translator."""
        return name or "python3"

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the language for papermill's parameter translator."""
        return language or "python"


async def _run_cells(
    kernel: Kernel, guard: Guard, states: CellStates, watch: Watch, limit: float | None
) -> bool:
    """Run the code cells up to the first error; return whether there was none."""
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
        try:
            await guard.until(client.async_execute_cell(states.nb.cells[index], index), limit)
        except CellExecutionError:
            states.finish(index, failed=True)
            return False
        states.finish(index)
        watch.finish()
    guard.cell = None
    return True


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


def _saver(output_path: str | None) -> Callable[[Any], None]:
    """Return what saves a notebook to papermill's output path; local files atomically."""
    if output_path is None:
        return lambda nb: None
    if "://" in output_path or output_path == "-":
        from papermill.iorw import write_ipynb  # late: papermill imports this file

        return lambda nb: write_ipynb(nb, output_path)
    return lambda nb: write_atomic(Path(output_path), nbformat.writes(nb))
