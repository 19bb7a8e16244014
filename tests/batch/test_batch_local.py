"""Batches on this machine: what one run's end means for the others, signals, states, progress."""

import io
import json
import os
import signal
from dataclasses import replace

import pytest
from killing import wait_for
from papermill.exceptions import PapermillExecutionError
from tiny_runs import start_batch, write_notebook
from truth import left_over

from redistill.batch import slots as slots_module
from redistill.batch.job import JobState, batches_in, job_state, load_batch, log_path, new_batch
from redistill.batch.pace import packed, spoken
from redistill.batch.slots import Slot, make_slots
from redistill.batch.spec import grid
from redistill.batch.watch import BatchWatch, status_lines
from redistill.errors import ConfigError, RunError
from redistill.running.endings import ending_of
from redistill.running.status import Ending, running, write_status

BAD = "class OutOfMemoryError(RuntimeError): pass\nraise OutOfMemoryError('CUDA out of memory.')"
DIES = "import os\nos.kill(os.getpid(), 9)"
DIES_ONCE = """import os
from pathlib import Path
mark = Path("../../../was-here")
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), 9)
from redistill.record import record
record("device", os.environ["CUDA_VISIBLE_DEVICES"])
"""
SLEEPS = "__import__('time').sleep(600)"  # to be bound to a name, or all were the same run


def states(folder):
    """State, attempts and cause of each job of the newest batch, by notebook."""
    batch = load_batch(batches_in(folder / "reports")[-1])
    found = [(job.spec.notebook.stem, job_state(batch, job)) for job in batch.jobs]
    return {name: (state.state, state.attempts, state.cause) for name, state in found}


def test_one_bad_run_stops_no_other_and_what_was_killed_comes_again(tmp_path):
    for name, cell in {"a": BAD, "b": DIES, "c": DIES_ONCE}.items():
        write_notebook(tmp_path / f"{name}.ipynb", cell)
    for name in ("redistill", "json", "argparse"):  # no file of the folder we are in is executed
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')\nraise SystemExit(9)")
    assert start_batch(tmp_path, {}, slots=("5", "7"), retries=1).wait(600) == 1
    log = (tmp_path / "batch.log").read_text()
    assert "failed: 2 of 3 runs did not complete" in log
    assert states(tmp_path) == {
        "a": ("failed", 1, "out of GPU memory: OutOfMemoryError: CUDA out of memory."),
        "b": ("killed", 2, "the kernel was killed by SIGKILL, cause unknown"),
        "c": ("completed", 2, ""),
    }
    folders = sorted((tmp_path / "reports").glob("?-*"))
    assert "".join(folder.name[0] for folder in folders) == "abbcc"
    assert all((folder / "report.html").is_file() for folder in folders)
    (row,) = json.loads((folders[-1] / "record.json").read_text())["rows"]
    assert row["value"] in ("5", "7")
    assert not (tmp_path / "executed").exists()
    for name in "ab":
        (tmp_path / f"{name}.ipynb").unlink()
    assert start_batch(tmp_path, {}, slots=("5",)).wait(600) == 0
    again = (tmp_path / "batch.log").read_text().removeprefix(log)
    assert "1 of 1 runs are there already" in again
    assert states(tmp_path) == {"c": ("found", 0, "")}
    assert sorted((tmp_path / "reports").glob("?-*")) == folders


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_batch_leaves_the_truth_and_nothing_else_behind(tmp_path, number):
    for name in "abc":
        write_notebook(tmp_path / f"{name}.ipynb", f"{name} = {SLEEPS}")
    batch = start_batch(tmp_path, {})
    reports = tmp_path / "reports"

    def begun():
        texts = [path.read_text() for path in reports.glob("*/status.json")]
        return sum(json.loads(text)["cell"] == 2 for text in texts) == 2

    wait_for(begun)
    assert "local, at work  0/3 runs done: 2 running, 1 waiting" in status_lines(reports)[0]
    os.killpg(batch.pid, number)  # as a terminal does
    assert batch.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
    wait_for(lambda: not left_over(tmp_path))
    told = "SIGTERM" if number == signal.SIGKILL else number.name
    assert states(tmp_path) == {
        "a": ("interrupted", 1, f"stopped by {told}"),
        "b": ("interrupted", 1, f"stopped by {told}"),
        "c": ("waiting", 0, ""),
    }
    lines = status_lines(reports)
    assert "not at work any more: start it again to go on" in lines[0]
    assert "c  not started" in lines[3]
    if number != signal.SIGKILL:
        assert (
            "0 of 3 runs are done; the same command goes on" in (tmp_path / "batch.log").read_text()
        )


@pytest.fixture
def batch(tmp_path, cache):
    """A batch of two runs that nobody makes."""
    path = write_notebook(tmp_path / "n.ipynb", "1")
    return new_batch(tmp_path / "reports", grid([path], [], [("data_seed", ["0", "1"])]), "local")


def attempt(batch, name, ending=None, **changes):
    folder = batch.reports / name
    folder.mkdir()
    status = replace(running(), **changes)
    write_status(folder, status.after(ending) if ending else status)
    return folder


def test_a_batch_is_read_as_it_was_written(batch):
    assert load_batch(batch.folder) == batch
    assert batches_in(batch.reports) == [batch.folder]
    assert [job.spec.given for job in batch.jobs] == [{"data_seed": 0}, {"data_seed": 1}]
    assert batch.jobs[0].name == f"n-{batch.jobs[0].key[:12]}"
    assert log_path(batch, batch.jobs[1]).name == "002.log"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version 2"),
        ({"executor": "cloud"}, "'cloud'"),
        ({"jobs": [{}]}, "lacks 'cell_timeout'"),
        ({"created": "yesterday"}, "yesterday"),
    ],
)
def test_a_batch_file_that_is_none_is_told(batch, change, told):
    path = batch.folder / "batch.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=told):
        load_batch(batch.folder)
    assert told in status_lines(batch.reports)[0]


def test_the_newest_attempt_of_this_batch_counts(batch):
    job, other = batch.jobs
    assert job_state(batch, job) == JobState(state="waiting")
    attempt(batch, job.name, Ending("failed", "of an earlier batch"), started="2000-01-01")
    (batch.reports / f"{job.name}-2").mkdir()  # a runner that died before it wrote anything
    assert job_state(batch, job) == JobState(state="waiting")
    attempt(batch, f"{job.name}-3", Ending("killed", "first"))
    attempt(batch, f"{job.name}-10", Ending("timeout", "second", cell=4))
    attempt(batch, f"{job.name}x", Ending("failed", "another run"))
    state = job_state(batch, job)
    assert (state.state, state.cause, state.cell, state.attempts) == ("timeout", "second", 4, 2)
    assert state.folder.name == f"{job.name}-10"
    attempt(batch, f"{job.name}-11", pid=2**22 + 1)
    assert job_state(batch, job).state == "killed"
    assert "died" in job_state(batch, job).cause
    attempt(batch, f"{job.name}-12", cell=1, cells=3)
    assert job_state(batch, job).state == "running"
    assert job_state(batch, other) == JobState(state="waiting")


def test_completed_without_a_record_does_not_count(batch):
    job = batch.jobs[0]
    folder = attempt(batch, job.name, Ending("completed", ""))
    state = job_state(batch, job)
    assert state.state == "failed"
    assert "its record does not count" in state.cause
    (folder / "record.json").write_text('{"key": {"value": "' + job.key + '"}}')
    assert job_state(batch, job).state == "failed"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_events_are_lines_and_a_terminal_also_sees_what_runs(batch, stream):
    screen = stream()
    watch = BatchWatch(batch, slots=1, stream=screen)
    now = {1: JobState(state="waiting"), 2: JobState(state="waiting")}
    watch.tick(now)
    now[1] = JobState(state="running", attempts=1, cell=2, cells=5, seconds=3)
    watch.tick(now)
    watch.tick(now)
    now[1] = JobState(state="completed", attempts=1, seconds=80)
    watch.tick(now)
    watch.close()
    text = screen.getvalue()
    live = stream is Terminal
    assert text.count("1 n data_seed=0  running cell 2/5, 3 s") == (2 if live else 1)
    assert ("\x1b[" in text) == live
    assert "1/2 runs done: 1 completed, 1 waiting" in text
    assert "about 1 min 20 s left" in text
    assert "left" not in text.partition("completed")[0]  # nothing was known before
    assert "is there already" not in text


def test_the_time_left_counts_the_slots():
    assert packed([10, 10, 10], 1, []) == 30
    assert packed([10, 10, 10], 2, []) == 20
    assert packed([10, 20], 2, [5, 1]) == 25
    assert packed([], 2, [7]) == 7
    assert packed([], 2, []) == 0
    said = [spoken(seconds) for seconds in (3.4, 60, 125, 7260)]
    assert said == ["3 s", "1 min 00 s", "2 min 05 s", "2 h 01 min"]


def test_slots_go_round_the_devices_and_stay_within_the_cores(monkeypatch):
    monkeypatch.setattr(slots_module, "_cores", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    both = [slot.device for slot in make_slots(slots=None, per_gpu=2, threads=2)]
    assert both == ["0", "1", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert make_slots(slots=1, per_gpu=1, threads=1) == (Slot(0, "3"),)
    assert [s.device for s in make_slots(slots=None, per_gpu=1, threads=1)] == ["3", "5"]
    for options, told in (
        ({"slots": 3, "per_gpu": 1, "threads": 1}, "higher --per-gpu"),
        ({"slots": None, "per_gpu": 3, "threads": 2}, "at most --slots 4"),
        ({"slots": 0, "per_gpu": 1, "threads": 1}, "at least 1"),
    ):
        with pytest.raises(ConfigError, match=told):
            make_slots(**options)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert len(make_slots(slots=None, per_gpu=1, threads=3)) == 2
    assert make_slots(slots=None, per_gpu=1, threads=16) == (Slot(0, None),)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB", True),
        ("RuntimeError", "CUDA error: out of memory", True),
        ("MemoryError", "", False),
    ],
)
def test_a_full_gpu_is_told_as_such(name, value, told):
    error = PapermillExecutionError(
        cell_index=3, exec_count=2, source="", ename=name, evalue=value, traceback=[]
    )
    ending = ending_of(error)
    assert (ending.state, ending.cell) == ("failed", 2)
    assert ending.cause.startswith("out of GPU memory: ") == told
    assert f"{name}: {value}" in ending.cause
