"""A job in Slurm and its worker: what signals do to them."""

import ast
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from fake_slurm import make_batch, stand_in

from redistill.batch.slurm_job import SlurmJob


@pytest.fixture
def fake(tmp_path, monkeypatch):
    return stand_in(tmp_path, monkeypatch)


JOB = """
import signal, sys, time
sys.executable = {worker!r}
from redistill.batch.slurm_job import SlurmJob
job = SlurmJob({folder!r}, 1)
def asked(*_):
    print("kept", vars(job.checkpoint().function), flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, lambda *_: None)  # as submitit does
signal.signal(signal.SIGUSR2, asked)
job()
"""
WAITS = "trap 'echo stopped; exit {code}' TERM\necho up; while :; do sleep 0.05; done"


@pytest.fixture
def job(fake, tmp_path):
    """Start a job whose worker is a script of shell; return the process and its log."""
    started = []

    def start(body: str, queue: str = "RUNNING") -> tuple[subprocess.Popen, Path]:
        batch = make_batch(tmp_path, "1")
        fake.command("worker", body)
        fake.command("squeue", f"echo {queue}")
        script = JOB.format(worker=str(fake.folder / "worker"), folder=str(batch.folder))
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "SLURM_JOB_ID": "7"},
        )
        started.append(process)
        return process, batch.folder / "001.log"

    yield start
    for process in started:
        with suppress(ProcessLookupError):  # nobody is left
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def up(log: Path) -> None:
    until = time.monotonic() + 30
    while not (log.exists() and "up" in log.read_text()):
        assert time.monotonic() < until, "the worker does not start"
        time.sleep(0.02)


def test_the_signal_of_slurm_reaches_the_job_and_the_worker_is_asked_politely(job):
    process, log = job(WAITS.format(code=143))
    up(log)
    os.killpg(process.pid, signal.SIGUSR2)  # to all processes of the job, as Slurm does it
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 75
    assert "'number': 1" in said
    assert set(ast.literal_eval(said.partition("kept ")[2])) == {"folder", "number"}
    assert log.read_text() == "up\nstopped\n"  # not killed by the signal that was not for it


def test_a_worker_that_comes_to_its_end_when_asked_is_not_brought_back(job):
    process, log = job(WAITS.format(code=1))
    up(log)
    process.send_signal(signal.SIGUSR2)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 1


@pytest.mark.parametrize(("queue", "code"), [("RUNNING", 75), ("COMPLETING", 143), ("", 143)])
def test_a_worker_asked_by_slurm_itself_comes_back_unless_the_job_is_ended(job, queue, code):
    process, log = job(WAITS.format(code=143), queue)
    up(log)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == code


@pytest.mark.parametrize(("body", "code"), [("exit 0", 0), ("exit 4", 4), ("kill -9 $$", 137)])
def test_a_job_ends_as_its_worker(job, body, code):
    process, _ = job(body)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == code


def test_asked_before_it_has_begun_a_job_is_brought_back():
    again = SlurmJob("/a/folder", 3).checkpoint()
    assert vars(again.function) == {"folder": "/a/folder", "number": 3}
