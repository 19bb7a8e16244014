import io
import signal

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from redistill.running.cell_state import CellStates
from redistill.running.progress import Progress
from redistill.running.status import Ending
from redistill.running.stop import stop_signals


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_live_line():
    stream = Terminal()
    progress = Progress(stream=stream)
    progress.begin(2, 9, "Training")
    progress.tick()
    progress.finish()
    progress.close()
    assert stream.getvalue() == "\r\x1b[Kcell 2/9    0.0 s  Training\r\x1b[K"


def test_a_log_gets_a_line_for_each_cell_that_took_a_second(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("redistill.running.progress.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    progress = Progress(stream=stream)
    for cell, seconds in ((1, 0.5), (2, 61.5)):
        progress.begin(cell, 2, "Training")
        clock[0] += seconds
        progress.tick()
        progress.finish()
    progress.close()
    assert stream.getvalue() == "cell 2/2   61.5 s  Training\n"


@pytest.fixture
def cells():
    saved = []
    nb = new_notebook(cells=[new_markdown_cell("a"), *(new_code_cell(str(i)) for i in range(3))])
    nb.cells[3].outputs = [new_output("stream", text="of another time")]
    nb.cells[3].execution_count = 7
    return CellStates(nb, lambda nb: saved.append([c.metadata.papermill.status for c in nb.cells]))


def status(cells):
    return [cell.metadata.papermill.status for cell in cells.nb.cells]


def test_cells_that_did_not_run_stay_pending_and_empty(cells):
    cells.begin(1)
    cells.finish(1)
    cells.begin(2)
    cells.end(Ending("killed", "why", 2))
    assert status(cells) == ["pending", "completed", "failed", "pending"]
    assert cells.nb.cells[3].execution_count is None
    assert cells.nb.cells[3].outputs == []
    assert cells.nb.metadata.papermill.exception is True


def test_after_an_error_nothing_turns_completed(cells):
    cells.begin(1)
    cells.finish(1, failed=True)
    cells.end()
    assert status(cells) == ["pending", "failed", "pending", "pending"]


def test_a_progress_bar_leaves_its_last_state_only(cells):
    pieces = [("stdout", "a\r\n"), ("stdout", "b"), ("stderr", " 1%\r 50%"), ("stderr", "\r99%\n")]
    cells.begin(1)
    cells.nb.cells[1].outputs = [new_output("stream", name=n, text=t) for n, t in pieces]
    cells.finish(1)
    found = [(output.name, output.text) for output in cells.nb.cells[1].outputs]
    assert found == [("stdout", "a\nb"), ("stderr", "99%\n")]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.signal is None
            signal.raise_signal(signal.SIGTERM)
            assert stop.signal == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
