"""What the journal reads: runs and batches at every stage, phases under way, rows as they come."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "batch"))
from tiny_runs import write_notebook

from redistill.batch.job import new_batch
from redistill.batch.lock import reports_lock
from redistill.batch.spec import grid
from redistill.batch.watch import status_lines
from redistill.explore.journal_course import course, phase_folders
from redistill.explore.journal_table import Line, Reader
from redistill.reference import REFERENCE
from redistill.rows import Row, append_row
from redistill.running.status import Ending, read_status, running, write_status

RECORD = (REFERENCE / "3-scene_led-d0-s0" / "record.json").read_text()


def journal_run(folder, **fields):
    """Write a run that this process makes; ``pid_started`` 0 makes its runner a dead one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_status(folder, replace(running(), **fields))
    return folder


def journal_lines(reports):
    return {line.name: line for line in Reader(reports).look().lines}


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def test_no_folder_and_an_empty_one_hold_nothing(tmp_path):
    for reports in (tmp_path / "none", tmp_path):
        look = Reader(reports).look()
        assert (look.lines, look.batches, look.problems) == ((), (), ())


def test_a_run_from_beginning_to_end_to_gone(tmp_path):
    reader = Reader(tmp_path)
    run = journal_run(tmp_path / "a", started=ago(33))
    (line,) = reader.look().lines
    assert (line.state, line.cell, line.seconds, line.pid) == ("running", None, 30, os.getpid())
    assert line.begun == read_status(run).started
    journal_run(run, started=ago(33), cell=4, cells=12)
    (line,) = reader.look().lines
    assert line.text() == "a running, cell 4 of 12, 30 s"
    ended = read_status(run).after(Ending("failed", "ValueError: no", cell=4, exit_code=None))
    write_status(run, ended)
    (line,) = reader.look().lines
    assert (line.state, line.cause, line.cell, line.pid) == ("failed", "ValueError: no", 4, None)
    assert line.seconds == pytest.approx(33, abs=5)
    shutil.rmtree(run)
    assert reader.look().lines == ()


def test_a_runner_that_died_is_told_as_killed(tmp_path):
    run = journal_run(tmp_path / "a", cell=2, cells=9, pid_started=0.0)
    line = journal_lines(tmp_path)["a"]
    assert line.state == "killed" == read_status(run).state
    assert line.cause == read_status(run).cause
    assert "cell 2 of 9" in line.text()
    assert line.pid is None


def test_a_run_completes_only_with_its_record(tmp_path):
    run = journal_run(tmp_path / "a", cell=9, cells=9)
    write_status(run, read_status(run).after(Ending("completed", "")))
    assert "it has no record.json" in journal_lines(tmp_path)["a"].cause
    (run / "record.json").write_text(RECORD)
    line = journal_lines(tmp_path)["a"]
    assert (line.state, line.cause, line.cell) == ("completed", "", None)


def test_a_run_of_another_machine_has_no_process_here(tmp_path):
    journal_run(tmp_path / "a", host="elsewhere")
    line = journal_lines(tmp_path)["a"]
    assert (line.state, line.pid) == ("running", None)


def test_a_broken_status_is_a_problem_and_the_others_are_shown(tmp_path):
    (journal_run(tmp_path / "a") / "status.json").write_text("{")
    (journal_run(tmp_path / "b") / "status.json").write_text('{"state": "well"}')
    journal_run(tmp_path / "c")
    look = Reader(tmp_path).look()
    assert [line.name for line in look.lines] == ["c"]
    assert len(look.problems) == 2
    for name, problem in zip("ab", look.problems, strict=True):
        assert f"{name}/status.json" in problem


def test_runs_at_work_first_then_bad_ones_then_the_done(tmp_path):
    for name, fields in {"a": {}, "b": {"pid_started": 0.0}, "c": {}, "d": {}}.items():
        journal_run(tmp_path / name, started=ago(60 - ord(name) % 9), **fields)
    done = read_status(tmp_path / "a").after(Ending("completed", ""))
    write_status(tmp_path / "a", done)
    assert [line.name for line in Reader(tmp_path).look().lines] == ["d", "c", "b", "a"]


@pytest.fixture
def journal_batch(tmp_path):
    book = write_notebook(tmp_path / "tiny.ipynb")
    specs = grid([book], [], [("data_seed", ["0", "1", "2"])])
    return new_batch(tmp_path / "reports", specs, "local")


def test_a_batch_job_by_job(journal_batch):
    batch, reader = journal_batch, Reader(journal_batch.reports)
    first, second, third = batch.jobs
    with reports_lock(batch.reports, batch.folder.name):
        look = reader.look()
        assert {line.name: line.state for line in look.lines} == {
            job.name: "waiting" for job in batch.jobs
        }
        assert look.lines[0].about.startswith("tiny data_seed=")
        assert look.batches == (f"batch {batch.folder.name} at work, 0/3 runs done: 3 waiting",)
        run = journal_run(batch.reports / first.name, cell=2, cells=3)
        look = reader.look()
        assert look.lines[0].text() == f"{first.name} (tiny data_seed=0) running, cell 2 of 3, 0 s"
        assert "0/3 runs done: 1 running, 2 waiting" in look.batches[0]
        (run / "record.json").write_text(RECORD)
        write_status(run, read_status(run).after(Ending("completed", "")))
        journal_run(batch.reports / second.name, pid_started=0.0)
        look = reader.look()
        assert "1/3 runs done: 1 completed, 1 killed, 1 waiting; " in look.batches[0]
        assert "runs an hour" in look.batches[0]
        journal_run(batch.reports / f"{second.name}-2")  # its second attempt
        states = {line.name: line.state for line in reader.look().lines}
        assert states == {first.name: "completed", second.name: "killed",
                          f"{second.name}-2": "running", third.name: "waiting"}  # fmt: skip
    look = reader.look()
    assert {line.name: line.state for line in look.lines}[third.name] == "not started"
    assert "is not at work any more, 1/3 runs done" in look.batches[0]
    assert status_lines(batch.reports)[0].split("  ")[-1] in look.batches[0]


def test_a_runner_of_a_batch_that_dies_without_a_word(journal_batch):
    batch, reader = journal_batch, Reader(journal_batch.reports)
    with reports_lock(batch.reports, batch.folder.name):
        runner = subprocess.Popen(["sleep", "60"])
        try:
            ticks = Path(f"/proc/{runner.pid}/stat").read_text().rpartition(")")[2].split()[19]
            about = {"pid": runner.pid, "pid_started": float(ticks)}
            journal_run(batch.reports / batch.jobs[0].name, **about)
            look = reader.look()
            assert (look.lines[0].state, look.lines[0].pid) == ("running", runner.pid)
            assert "1 running, 2 waiting" in look.batches[0]
        finally:
            runner.kill()
            runner.wait()
        look = reader.look()  # no file has changed
        assert "1 killed, 2 waiting" in look.batches[0]
        assert look.lines[0].state == "killed"


def test_a_second_look_and_a_new_reader_tell_the_same(journal_batch):
    journal_run(journal_batch.reports / journal_batch.jobs[0].name, cell=1, cells=3)
    reader = Reader(journal_batch.reports)
    first = reader.look()
    assert reader.look() == first == Reader(journal_batch.reports).look()


def test_a_job_whose_worker_began_no_run_says_why(journal_batch):
    (journal_batch.folder / "002.json").write_text(json.dumps({"error": "no such clip"}))
    lines = journal_lines(journal_batch.reports)
    line = lines[journal_batch.jobs[1].name]
    assert (line.state, line.cause, line.folder) == ("failed", "no such clip", None)


def test_a_broken_batch_is_a_problem(journal_batch):
    (journal_batch.folder / "batch.json").write_text("[]")
    look = Reader(journal_batch.reports).look()
    assert look.lines == ()
    assert f"batch {journal_batch.folder.name} cannot be read" in look.problems[0]


def test_the_reader_writes_nothing(journal_batch):
    journal_run(journal_batch.reports / "a")
    before = {p: p.stat().st_mtime_ns for p in journal_batch.reports.rglob("*")}
    course(Reader(journal_batch.reports).look().lines[0])
    assert before == {p: p.stat().st_mtime_ns for p in journal_batch.reports.rglob("*")}


HOLD = """
import subprocess, sys
held = open(sys.argv[1], "w")
if len(sys.argv) > 2:
    child = subprocess.Popen([sys.executable, "-c", __HOLD__, sys.argv[2]], stdin=0, stdout=1)
print("ready", flush=True)
input()
"""


@pytest.fixture
def training(tmp_path):
    """Two phases under way: one in a process, one in its child."""
    phases = tmp_path / "elsewhere" / "phases"
    paths = [phases / f"{name}-0123456789abcdef" for name in ("mv", "long-name")]
    for path in paths:
        path.mkdir(parents=True)
    code = HOLD.replace("__HOLD__", repr(HOLD))
    command = [sys.executable, "-c", code, *(str(path / "lock") for path in paths)]
    with ExitStack() as stack:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.stdin.close)
        assert [process.stdout.readline() for _ in range(2)] == [b"ready\n"] * 2
        yield process.pid, paths


def test_phases_under_way_are_found_by_the_locks_held(training, tmp_path):
    pid, (mv, long) = training
    assert phase_folders(pid) == sorted([mv, long])
    line = Line(name="a", state="running", folder=journal_run(tmp_path / "a"), pid=pid)
    assert course(line).phases == ("phase long-name: its first epoch", "phase mv: its first epoch")
    journal = [{"epoch": 1, "loss": 2.5, "val": [0.25, 0.75]}, {"epoch": 2, "loss": 1.25}]
    for epochs in (1, 2):
        (mv / "journal.json").write_text(json.dumps({"epochs": 9, "journal": journal[:epochs]}))
        found = course(line)
        assert f"phase mv: epoch {epochs} of 9 is done, loss " in found.phases[1]
        curve = found.curves["phase mv, training loss"]
        assert dict(curve.points) == {e["epoch"]: e["loss"] for e in journal[:epochs]}
        assert (curve.axis, curve.last) == ("epoch", 9)
    assert dict(found.curves["phase mv, validation accuracy"].points) == {1: 0.5}
    (mv / "journal.json").write_text('{"epochs": 9, "journal": []}')
    assert "phase mv: its first epoch" in course(line).phases


def test_no_process_no_phase():
    assert phase_folders(2**22 + 1) == []
    assert course(None).curves == {}
    assert course(Line(name="a", state="waiting")).rows == 0


def test_rows_as_they_arrive(tmp_path):
    run = journal_run(tmp_path / "a")
    line = Line(name="a", state="running", folder=run)
    for step, value in enumerate((2.5, 2.25, 2)):
        append_row(run, Row(name="first_loss", value=value, keys={"arm": "ce", "step": step}))
        found = course(line)
        assert found.rows == step + 1
    assert dict(found.curves["first_loss, ce"].points) == {0: 2.5, 1: 2.25, 2: 2.0}
    append_row(run, Row(name="accuracy", value=0.5, keys={"fold": 0}))
    append_row(run, Row(name="best", value="mv", keys={"step": 0}))
    with (run / "rows.jsonl").open("a") as file:
        file.write('{"name": "torn')
    assert course(line).rows == 5
    assert set(course(line).curves) == {"first_loss, ce"}
    (run / "figures").mkdir()
    (run / "figures" / "learning.csv").write_text("modality,epoch,loss\nmv,1,0.5\nmv,2,0.25\n")
    (run / "figures" / "learning.png").write_bytes(b"")
    assert dict(course(line).curves["training loss, mv"].points) == {1: 0.5, 2: 0.25}
    assert course(line).figures == 1


def test_broken_rows_and_tables_are_no_curves(tmp_path):
    run = journal_run(tmp_path / "a")
    (run / "rows.jsonl").write_text("no row\n")
    (run / "figures").mkdir()
    (run / "figures" / "learning.csv").write_text('a,b\n"1,2\n')
    found = course(Line(name="a", state="running", folder=run))
    assert (found.rows, dict(found.curves)) == (0, {})
