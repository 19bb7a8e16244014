"""The true state of each job of a batch, told from the disk alone.

A job is one run to be made.  Its attempts are run folders ``name``, ``name-2``, ``name-3`` ...;
a job is done when a run with its key has a valid record, whoever made it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from redistill.batch.found import find_run
from redistill.batch.written import Batch, Job, batches_in, load_batch, new_batch
from redistill.errors import RedistillError
from redistill.files import inside, read_json
from redistill.running.run_record import read_record
from redistill.running.status import Status, read_status

__all__ = ["Batch", "Job", "JobState", "batches_in", "job_state", "load_batch", "new_batch"]

DONE = ("completed", "found")


@dataclass(frozen=True, kw_only=True)
class JobState:
    """What became of a job so far.

    Attributes:
        state: "waiting"; "found", a record with its key was there before; or the state of its
            newest attempt.
        folder: of that attempt, or of the run that was found.
        attempts: how many this batch has begun.
        cause: why it is not completed.
        cell: where the attempt is, or ended.
        cells: code cells in all.
        seconds: since the attempt began, or until it ended.
    """

    state: str
    folder: Path | None = None
    attempts: int = 0
    cause: str = ""
    cell: int | None = None
    cells: int | None = None
    seconds: float | None = None


def job_state(batch: Batch, job: Job) -> JobState:
    """Return what became of a job so far; any process may ask.

    A run whose status says completed counts only with a valid record.
    """
    own = [
        (folder, status)
        for _, folder in sorted(_numbered(batch.reports, job).items())
        if (status := _status(folder)) and status.started >= batch.created
    ]
    newest = _attempt(*own[-1], len(own)) if own else None
    if newest and newest.state in ("running", "completed"):
        return newest
    error, found = _outcome(batch, job)
    if found := found or find_run(batch.reports, job.key):
        return JobState(state="found", folder=found, attempts=len(own))
    if newest is None and error:
        return JobState(state="failed", cause=error)
    return newest or JobState(state="waiting")


def log_path(batch: Batch, job: Job) -> Path:
    """Return where the output of a job's workers goes."""
    return batch.folder / f"{job.number:03d}.log"


def outcome_path(batch: Batch, job: Job) -> Path:
    """Return where a job's worker says why it began no attempt: {"error": ...} or {"found": ...}.

    What it found may be of another key than the job's, if an input has changed since.
    """
    return batch.folder / f"{job.number:03d}.json"


def next_attempt(reports: Path, job: Job) -> str:
    """Return the name of the folder that the next attempt of a job gets."""
    number = max(_numbered(reports, job), default=0) + 1
    return job.name if number == 1 else f"{job.name}-{number}"


def _outcome(batch: Batch, job: Job) -> tuple[str, Path | None]:
    """Return what the job's worker said: an error, and the run that it found."""
    path = outcome_path(batch, job)
    if not path.is_file():
        return "", None
    try:
        said = read_json(path)
        error, name = said.get("error", ""), said.get("found")
        found = inside(batch.reports, Path(name)) if name else None
        if found:
            read_record(found)
    except (RedistillError, AttributeError, TypeError) as problem:
        return f"{path}: {problem}", None
    return error, found


def _attempt(folder: Path, status: Status, attempts: int) -> JobState:
    state, cause = status.state, status.cause
    if state == "completed":
        try:
            read_record(folder)
        except RedistillError as error:
            state, cause = "failed", f"it ended well, but its record does not count: {error}"
    last = datetime.now(UTC).isoformat() if state == "running" else status.ended
    span = [datetime.fromisoformat(each) for each in (status.started, last or status.heartbeat)]
    return JobState(
        state=state,
        folder=folder,
        attempts=attempts,
        cause=cause,
        cell=status.cell,
        cells=status.cells,
        seconds=(span[1] - span[0]).total_seconds(),
    )


def _status(folder: Path) -> Status | None:
    """Return the status of an attempt; None if its runner has not begun it, or never did."""
    try:
        return read_status(folder)
    except RedistillError:
        return None


def _numbered(reports: Path, job: Job) -> dict[int, Path]:
    """Return the folders of a job's attempts, of earlier batches too, by number."""
    pattern = re.compile(re.escape(job.name) + r"(?:-(\d+))?")
    matches = ((path, pattern.fullmatch(path.name)) for path in reports.glob(f"{job.name}*"))
    return {int(match[1] or 1): path for path, match in matches if match}
