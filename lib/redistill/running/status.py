"""The true state of a run, as a file that its runner keeps and any later reader can check.

A runner that dies cannot write that it died.  So the file names the runner's process (its pid and
the moment that process started) and a heartbeat, and whoever reads "running" looks for them.
"""

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from redistill.errors import RedistillError, RunError
from redistill.files import read_json, write_json

STATES = ("running", "completed", "failed", "killed", "interrupted", "timeout", "disk_full")
FILE = "status.json"
RECORD = "record.json"  # the last that a run writes before it says that it has completed
_EXIT = {"failed": 1, "killed": 3, "timeout": 4, "disk_full": 5}
BEAT = 5.0  # seconds between heartbeats
SILENCE = 120.0  # seconds without one, after which a runner on another machine counts as dead


@dataclass(frozen=True)
class Ending:
    """How an execution ended, if it did not complete.

    Attributes:
        state: one of ``STATES``.
        cause: one sentence for the reader.
        cell: the code cell, counted from 1 as In [n] counts, or None outside of all cells.
        exit_code: the kernel's, or 128 + signal as shells count; None if the kernel lived on.
    """

    state: str
    cause: str
    cell: int | None = None
    exit_code: int | None = None


class RunStopped(RunError):
    """An execution that did not complete; ``ending`` says how, ``folder`` where (if anywhere)."""

    def __init__(self, ending: Ending, folder: Path | None = None) -> None:
        where = f" in cell {ending.cell}" if ending.cell else ""
        super().__init__(f"{ending.state}{where}: {ending.cause}")
        self.ending, self.folder = ending, folder

    @property
    def exit_code(self) -> int | None:
        """The command's exit code: one for each state, or 128 + signal as shells count."""
        return _EXIT.get(self.ending.state, self.ending.exit_code)


@dataclass(frozen=True, kw_only=True)
class Status:
    """The content of status.json.  Times are ISO 8601 in UTC."""

    state: str
    pid: int
    pid_started: float
    host: str
    started: str
    heartbeat: str
    cause: str = ""
    cell: int | None = None
    cells: int | None = None  # code cells in all
    exit_code: int | None = None
    ended: str | None = None

    def after(self, ending: Ending) -> "Status":
        """Return this status as it is once the run has ended."""
        return replace(self, **asdict(ending), ended=now(), heartbeat=now())


def running() -> Status:
    """Return the status of a run that this process begins now."""
    pid = os.getpid()
    return Status(
        state="running",
        pid=pid,
        pid_started=_process_start(pid) or 0.0,
        host=socket.gethostname(),
        started=now(),
        heartbeat=now(),
    )


def write_status(run_dir: Path, status: Status) -> None:
    """Write ``status`` into a run folder, atomically."""
    write_json(run_dir / FILE, asdict(status))


def read_status(run_dir: Path) -> Status:
    """Return a run's status; a run whose runner is gone is "killed", whatever its file says.

    But if its record was written, which is whole or not there, only the last word is missing.

    Raises:
        RunError: there is no run in ``run_dir``, or its status file is not one.
    """
    path = Path(run_dir) / FILE
    if not path.is_file():
        raise RunError(f"no run in {run_dir}: it has no {FILE}")
    try:
        status = Status(**read_json(path))
    except TypeError as error:
        names = ", ".join(f.name for f in fields(Status))
        raise RunError(f"{path} is not a run's status ({error}); expected {names}") from error
    if status.state not in STATES:
        raise RunError(f"{path}: state {status.state!r} is none of {', '.join(STATES)}")
    cause = _death_of_runner(status) if status.state == "running" else None
    if cause is None:
        return status
    if (path.parent / RECORD).is_file():
        return replace(status, state="completed", ended=status.heartbeat)
    return replace(status, state="killed", cause=cause)


def runs_in(reports: Path) -> Iterator[Path]:
    """Return the run folders directly inside ``reports``, oldest name first."""
    return (path.parent for path in sorted(Path(reports).glob(f"*/{FILE}")))


def counted_folders(reports: Path) -> list[Path]:
    """Return the run folders in ``reports`` and one level down, as the index has them."""
    files = [*reports.glob("*/*.json"), *reports.glob("*/*/*.json")]
    found = {path.parent for path in files if path.name in (FILE, RECORD)}
    return [folder for folder in sorted(found) if not folder.name.startswith(".")]


def now() -> str:
    """Return the time, ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _death_of_runner(status: Status) -> str | None:
    """Say how we know that the runner is dead; None if it may live."""
    try:
        silent = time.time() - datetime.fromisoformat(status.heartbeat).timestamp()
    except ValueError as error:
        raise RedistillError(f"heartbeat {status.heartbeat!r} is not a time") from error
    here = status.host == socket.gethostname()
    if here and _process_start(status.pid) != status.pid_started:
        return f"the runner died (process {status.pid} is gone)"
    if not here and silent > SILENCE:
        return f"the runner on {status.host} has given no sign of life for {silent:.0f} s"
    return None


def _process_start(pid: int) -> float | None:
    """Return when process ``pid`` started, in the kernel's own ticks; None if it does not live.

    Ticks, not seconds: a clock that is set must not make a living runner look dead.
    """
    try:
        if Path("/proc/self").exists():
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return None if parts[0] in "ZX" else float(parts[19])
        return psutil.Process(pid).create_time()
    except (OSError, psutil.Error):
        return None
