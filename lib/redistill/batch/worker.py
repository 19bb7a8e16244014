"""One job of a batch in a process of its own: ``python -m redistill.batch.worker FOLDER NUMBER``.

It looks whether the run is there, makes it if not, writes its report, and ends with the exit code
that ``redistill run`` would have.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from redistill.batch.found import find_run
from redistill.batch.job import Batch, Job, load_batch, next_attempt, outcome_path
from redistill.batch.lock import key_lock
from redistill.config import parameters_of
from redistill.errors import RedistillError, RunError
from redistill.files import write_json
from redistill.running.status import RunStopped

_PR_SET_PDEATHSIG = 1


def worker_command(folder: Path, number: int) -> list[str]:
    """Return the command of a worker for that job that ends when this process dies."""
    safe = [
        sys.executable,
        "-P",
        "-m",
        "redistill.batch.worker",
    ]  # no module of the folder we are in
    return [*safe, str(folder), str(number), "--parent", str(os.getpid())]


def work(folder: Path, number: int) -> int:
    """Do one job of the batch in ``folder``, and return the exit code.

    If another process makes the same run, wait for it and find its record.
    """
    batch = load_batch(folder)
    if not 1 <= number <= len(batch.jobs):
        raise RunError(f"{folder} has no run {number}; it has 1 to {len(batch.jobs)}")
    job = batch.jobs[number - 1]
    outcome = outcome_path(batch, job)
    outcome.unlink(missing_ok=True)
    try:
        found = _find_or_run(batch, job)
        if found:
            write_json(outcome, {"found": found.name})
    except RedistillError as error:
        print(f"redistill: {error}", file=sys.stderr)
        if not isinstance(error, RunStopped) or error.folder is None:
            with contextlib.suppress(OSError):  # a full disk; the exit code tells too
                write_json(outcome, {"error": str(error)})
        if not isinstance(error, RunStopped):
            return 2
        return error.exit_code
    return 0


def _find_or_run(batch: Batch, job: Job) -> Path | None:
    """Return the run that was there, or None after having made it."""
    from redistill.running.key import run_key
    from redistill.running.notebook import read_notebook

    # Not job.key: an input may have changed since the batch was planned.  The run is then one of
    # another key, as its record says, and the next batch repeats it.
    key = run_key(read_notebook(job.spec.notebook), job.spec.config).value
    if key != job.key:
        print("redistill: an input of this run has changed since the batch was planned")
    with key_lock(batch.reports, key):
        found = find_run(batch.reports, key)
        print(found or _run(batch, job))
    return found


def _run(batch: Batch, job: Job) -> Path:
    """Make the run and its report; return its folder."""
    from redistill.running.runner import run_notebook

    spec = job.spec
    kinds = parameters_of(type(spec.config))
    try:
        run = run_notebook(
            spec.notebook,
            parameters={name: kinds[name].check(value) for name, value in spec.given.items()},
            reports=batch.reports,
            run_id=next_attempt(batch.reports, job),
            cell_timeout=spec.cell_timeout,
            budget=spec.budget,
        )
    except RunStopped as error:
        if error.folder is not None and error.ending.state != "disk_full":
            _report(error.folder)
        raise
    _report(run)
    return run


def _report(folder: Path) -> None:
    """Write the run's report; how the run ended matters more than how its report did.

    The index is the batch's: workers would write it over each other.
    """
    from redistill.reporting.report import build_report

    try:
        build_report(folder)
    except Exception as error:
        print(f"redistill: no report of {folder}: {error}", file=sys.stderr)


def _end_with(parent: int) -> None:
    """Ask Linux for a SIGTERM when the batch dies, so that its runs say that they were stopped.

    Elsewhere they go on to their end; the next batch waits for them and finds their records.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(143)  # it died before we asked


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m redistill.batch.worker")
    parser.add_argument("folder", type=Path, help="the batch's")
    parser.add_argument("number", type=int, help="of the job, from 1")
    parser.add_argument("--parent", type=int, metavar="PID", help="process to end with")
    options = parser.parse_args(argv)
    if options.parent is not None:
        _end_with(options.parent)
    try:
        return work(options.folder, options.number)
    except RedistillError as error:
        print(f"redistill: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
