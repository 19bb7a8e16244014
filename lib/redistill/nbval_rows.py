"""nbval by numbers: a pytest plugin (``-p redistill.nbval_rows --nbval``).

nbval compares text.  Here typed rows are compared within the tolerances that the saved notebook
holds, figures by the tables they were drawn from, and everything else as nbval does.  A kernel
that dies fails its cell at once, where nbval would wait for the cell's whole timeout.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from math import inf
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

import pytest
from nbformat import from_dict
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError

from redistill.compare import compare_figures, compare_rows
from redistill.record import FIGURE_MIME, ROW_MIME

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
_POLL = 0.5  # seconds between looks at whether the kernel still lives


class KernelDied(Exception):
    """The kernel's process is gone while a message from it was awaited."""


class WatchedKernel(RunningKernel):
    """nbval's kernel, which asks while it waits whether there is still something to wait for."""

    def get_message(self, stream: str, timeout: float | None = None) -> Any:
        """Return the next message; raise KernelDied within seconds of the kernel's death."""
        end = inf if timeout is None else monotonic() + timeout
        while True:
            alive = self.is_alive()  # asked first, so that a last message is still read
            left = min(_POLL, max(0.0, end - monotonic()))
            try:
                return super().get_message(stream, timeout=left)
            except Empty:
                if not alive:
                    raise KernelDied from None
                if monotonic() >= end:
                    raise


class RowsCell(IPyNbCell):
    """A code cell whose rows and figures are compared as numbers."""

    def setup(self) -> None:
        """Skip the cells behind a dead kernel."""
        if self.parent.died is not None:
            pytest.skip(f"the kernel died in cell {self.parent.died}")
        super().setup()

    def runtest(self) -> None:
        """Run the cell as nbval does; the kernel's death is an error of this cell."""
        try:
            super().runtest()
        except Exception as error:
            died = isinstance(error, KernelDied) or not self.parent.kernel.is_alive()
            if isinstance(error, NbCellError) or not died:
                raise
            self.parent.died = self.cell_num
            self.raise_cell_error("The kernel died while it executed this cell")

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        """Compare fresh outputs with the saved ones; say all that differs."""
        same = super().compare_outputs(_rest(test), _rest(ref), skip_compare)
        differences = list(self.comparison_traceback) if not same else []
        differences += compare_rows(_typed(ref, ROW_MIME), _typed(test, ROW_MIME))
        differences += compare_figures(_typed(ref, FIGURE_MIME), _typed(test, FIGURE_MIME))
        self.comparison_traceback = differences
        return not differences


class RowsFile(IPyNbFile):
    """A notebook of such cells."""

    died: int | None = None  # code cell in which the kernel died, counted from 0 as nbval does

    def setup(self) -> None:
        """Start the kernel, watched."""
        super().setup()
        self.kernel.__class__ = WatchedKernel

    def teardown(self) -> None:
        """Stop the kernel; of a dead one, the threads that still listen for it."""
        super().teardown()
        if self.died is not None:
            self.kernel.kc.stop_channels()

    def collect(self) -> Iterator[RowsCell]:
        """Yield the cells nbval finds, as ours."""
        for cell in super().collect():
            yield RowsCell.from_parent(
                self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options
            )


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: Any) -> Generator[None, list, list]:
    """Put our notebook collector where nbval put its own."""
    found = yield
    return [
        RowsFile.from_parent(parent, path=file_path) if type(item) is IPyNbFile else item
        for item in found
    ]


def _typed(outputs: Iterable[Mapping[str, Any]], mime: str) -> list[Mapping[str, Any]]:
    return [out["data"][mime] for out in outputs if mime in (out.get("data") or {})]


def _rest(outputs: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Leave to nbval what is not typed nor stderr; of a widget only that it is there."""
    rest = []
    for out in outputs:
        data = out.get("data") or {}
        if ROW_MIME in data or FIGURE_MIME in data or out.get("name") == "stderr":
            continue
        if WIDGET_MIME in data:
            out = from_dict({**out, "data": {"text/plain": "a widget"}})
        rest.append(out)
    return rest
