"""The state of each cell as papermill's metadata has it, but true, and saved as it changes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from redistill.running.status import Ending

_OVERWRITTEN = re.compile(r"^.*\r(?=[^\r\n])|\r+$", re.MULTILINE)


class CellStates:
    """Marks cells of a notebook pending, running, completed or failed; saves after each change.

    A cell that did not run stays pending, without execution count and without outputs.
    """

    def __init__(self, nb: Any, save: Callable[[Any], None]) -> None:
        self.nb = nb
        self._save = lambda: save(nb)
        blank = {"exception": None, "start_time": None, "end_time": None, "duration": None}
        known = nb.metadata.get("papermill", {})
        nb.metadata.papermill = {**known, **blank, "start_time": _now().isoformat()}
        for cell in nb.cells:
            cell.metadata.papermill = {**blank, "status": "pending"}
            if cell.cell_type == "code":
                cell.execution_count, cell.outputs = None, []
        self._save()

    def begin(self, index: int) -> None:
        """Mark the cell at ``index`` as running."""
        about = self.nb.cells[index].metadata.papermill
        about.update(status="running", exception=False, start_time=_now().isoformat())
        self._save()

    def finish(self, index: int, *, failed: bool = False) -> None:
        """Mark the cell at ``index`` as completed, or as the one that stopped the notebook."""
        about = self.nb.cells[index].metadata.papermill
        _stop_clock(about)
        about.update(status="failed" if failed else "completed", exception=failed)
        _join_streams(self.nb.cells[index])
        if failed:
            self.nb.metadata.papermill.exception = True
        self._save()

    def end(self, ending: Ending | None = None) -> None:
        """Mark the notebook as ended; with an ``ending``, the running cell is the one at fault."""
        about = self.nb.metadata.papermill
        _stop_clock(about)
        if about.exception is None and ending is None:
            for cell in self.nb.cells:  # prose and empty cells, which no kernel runs
                cell.metadata.papermill.status = "completed"
        if ending is not None:
            about.update(exception=True, redistill={"state": ending.state, "cause": ending.cause})
            for cell in self.nb.cells:
                if cell.metadata.papermill.status == "running":
                    _join_streams(cell)
                    cell.metadata.papermill.update(status="failed", exception=True)
        self._save()


def _join_streams(cell: Any) -> None:
    """Join neighbouring pieces of one stream, and let a carriage return overwrite its line.

    A progress bar then leaves its last state, not hundreds.
    """
    outputs: list[Any] = []
    for output in cell.outputs:
        stream = output.get("name") if output.output_type == "stream" else None
        if stream and outputs and outputs[-1].get("name") == stream:
            outputs[-1].text += output.text
        else:
            outputs.append(output)
    for output in outputs:
        if output.output_type == "stream":
            output.text = _OVERWRITTEN.sub("", output.text)
    cell.outputs = outputs


def _stop_clock(about: Any) -> None:
    """Note that what ``about`` describes ends now."""
    end = _now()
    seconds = (end - datetime.fromisoformat(about.start_time)).total_seconds()
    about.update(end_time=end.isoformat(), duration=seconds)


def _now() -> datetime:
    return datetime.now(UTC)
