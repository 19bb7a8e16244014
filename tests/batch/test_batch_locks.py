"""One local batch in a folder, one process at a run, and no lock that outlives its holder."""

import fcntl
import os
import socket
import subprocess
import sys
import time

import pytest
from tiny_runs import write_notebook

from redistill.batch.job import batches_in, job_state, new_batch
from redistill.batch.local import run_local
from redistill.batch.lock import batch_at_work, batches_folder, key_lock, reports_lock
from redistill.batch.slots import Slot
from redistill.batch.spec import grid
from redistill.batch.watch import BatchWatch, status_lines
from redistill.errors import RunError


@pytest.fixture
def specs(tmp_path, cache):
    return grid([write_notebook(tmp_path / "n.ipynb", "1")], [], [("data_seed", ["0", "1"])])


def test_two_batches_at_once_in_one_folder(specs, tmp_path):
    reports = tmp_path / "reports"
    waiting = new_batch(reports, specs, "local")
    with reports_lock(reports, "the-first"):
        holder = batch_at_work(reports)
        assert (holder["batch"], holder["pid"]) == ("the-first", os.getpid())
        told = rf"process {os.getpid()} on {socket.gethostname()}, since 20.*\(the-first\)"
        with pytest.raises(RunError, match=told):
            new_batch(reports, specs, "local")
        with pytest.raises(RunError, match=told):
            run_local(waiting, [Slot(0, None)], retries=0, watch=BatchWatch(waiting, slots=1))
        new_batch(reports, specs, "slurm")  # its runs are locked one by one
        assert "not at work any more" in status_lines(reports)[0]
    assert batch_at_work(reports) is None
    assert not list(reports.glob("n-*"))
    assert len(batches_in(reports)) == 2


HOLDS = """import sys, time
from pathlib import Path
from redistill.batch.lock import reports_lock, key_lock
with reports_lock(Path(sys.argv[1]), "dead"), key_lock(Path(sys.argv[1]), "a" * 64):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_of_the_dead_is_no_obstacle(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert batch_at_work(tmp_path)["pid"] == holder.pid
    with pytest.raises(RunError, match=f"process {holder.pid}"), reports_lock(tmp_path, "second"):
        pass
    holder.kill()
    holder.communicate()
    with reports_lock(tmp_path, "second"), key_lock(tmp_path, "a" * 64):
        assert batch_at_work(tmp_path)["batch"] == "second"


def test_a_reader_who_asks_stops_no_batch(tmp_path, monkeypatch):
    """A reader holds the lock for a moment; a batch that begins then must not be refused."""
    path = batches_folder(tmp_path) / ".lock"
    path.touch()
    reader = path.open()
    fcntl.flock(reader, fcntl.LOCK_SH)
    monkeypatch.setattr("redistill.batch.lock.time.sleep", lambda _: reader.close())
    with reports_lock(tmp_path, "one"):
        assert batch_at_work(tmp_path)["batch"] == "one"


def test_a_run_is_made_once_if_two_workers_want_it(specs, tmp_path):
    """The second waits for the first, and finds its record."""
    batch = new_batch(tmp_path / "reports", specs, "local")
    command = [sys.executable, "-m", "redistill.batch.worker", str(batch.folder), "1"]
    with key_lock(batch.reports, batch.jobs[0].key):
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        time.sleep(1)
        assert [worker.poll() for worker in workers] == [None, None]
        assert not list(batch.reports.glob("n-*"))
    told = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    (run,) = batch.reports.glob("n-*")
    assert told == [f"{run}\n"] * 2
    assert job_state(batch, batch.jobs[0]).state == "completed"
