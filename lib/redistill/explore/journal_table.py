"""What the disk says of the batches and runs in a reports folder, now: a reader, never a writer.

The truth is that of ``running.status`` and ``batch.job``; what is settled is not asked for again.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from redistill.batch.job import (
    DONE,
    Batch,
    Job,
    JobState,
    batches_in,
    job_state,
    load_batch,
    next_attempt,
    outcome_path,
)
from redistill.batch.lock import batch_at_work
from redistill.batch.pace import Pace, spoken
from redistill.batch.watch import tally
from redistill.errors import RedistillError
from redistill.running.run_record import FILE as RECORD
from redistill.running.status import FILE as STATUS
from redistill.running.status import Status, read_status, runs_in

_STEP = 5  # seconds; the time of a running run is told in such steps, or nobody could read it
_ORDER = ("running", "waiting", "not started", "completed", "found")  # those not named: between


@dataclass(frozen=True, kw_only=True)
class Line:
    """One run.

    Attributes:
        name: of its folder, or the folder that it will have.
        about: what is run: notebook and parameters, if a batch has it written down.
        state: "waiting", "not started" (its batch is not at work any more), or of its status.
        cause: why it is not completed, else "".
        cell: the code cell where it is or ended, of ``cells``.
        begun: when, ISO 8601 in UTC; "" if it has not.
        seconds: since then (in steps of five), or until it ended.
        folder: None as long as there is none.
        pid: of its runner, if it runs on this machine.
    """

    name: str
    state: str
    about: str = ""
    cause: str = ""
    cell: int | None = None
    cells: int | None = None
    begun: str = ""
    seconds: float | None = None
    folder: Path | None = None
    pid: int | None = None

    def text(self) -> str:
        """Return the line in words."""
        cell = f", cell {self.cell} of {self.cells}" if self.cell and self.cells else ""
        took = f", {spoken(self.seconds)}" if self.seconds is not None else ""
        about = f" ({self.about})" * bool(self.about)
        return f"{self.name}{about} {self.state}{cell}{took}" + f": {self.cause}" * bool(self.cause)


@dataclass(frozen=True)
class Look:
    """One look at a reports folder.

    Attributes:
        lines: those at work first, then those that did not complete, those that wait (in their
            order), the rest; the newest first.
        batches: a sentence for each batch that is at work or has runs left to make.
        problems: what cannot be read, and why.
    """

    lines: tuple[Line, ...] = ()
    batches: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Reader:
    """Looks at one reports folder again and again."""

    def __init__(self, reports: Path) -> None:
        self.reports = Path(reports).absolute()
        self._batches: dict[Path, Batch] = {}  # what is written of a batch never changes
        self._known: dict[tuple[Path, int], tuple[object, JobState]] = {}
        # by batch: how many are made, runs an hour, what is known of times; they take all records
        self._paces: dict[Path, tuple[tuple[int, int], float | None, Pace]] = {}

    def look(self) -> Look:
        """Return what is there now; a folder that is not there holds nothing."""
        lines: dict[str, Line] = {}
        about: dict[str, str] = {}
        told, problems = [], []
        holder = batch_at_work(self.reports)
        records = len(list(self.reports.glob(f"*/{RECORD}")))
        for folder in reversed(batches_in(self.reports)):
            try:
                batch = self._load(folder)
                states = {job.number: self._state(batch, job, records) for job in batch.jobs}
            except (RedistillError, OSError) as error:
                problems.append(f"batch {folder.name} cannot be read: {error}")
                continue
            works = batch.executor == "slurm" or (holder or {}).get("batch") == folder.name
            if works or any(state.state not in DONE for state in states.values()):
                told.append(self._batch_text(batch, states, works=works))
            for job in batch.jobs:
                line = _line_of_job(batch, job, states[job.number], works=works)
                about.setdefault(line.name, line.about)
                if line.folder is None:
                    lines.setdefault(line.name, line)
        runs = {line.name: line for line in self._runs(problems)}
        lines |= {name: replace(line, about=about.get(name, "")) for name, line in runs.items()}
        newest = sorted(lines.values(), key=lambda line: line.begun, reverse=True)
        return Look(tuple(sorted(newest, key=_rank)), tuple(told), tuple(problems))

    def _load(self, folder: Path) -> Batch:
        if folder not in self._batches:
            self._batches[folder] = load_batch(folder)
        return self._batches[folder]

    def _state(self, batch: Batch, job: Job, records: int) -> JobState:
        """Return a job's state, asked anew if it runs or if anything that it follows from changed.

        Whether a run of its key is there already takes the reading of all records, so that is
        asked only when their number changes.
        """
        files = [*self.reports.glob(f"{job.name}*/{STATUS}"), outcome_path(batch, job)]
        seen = (records, *(_changed(path) for path in sorted(files)))
        before = self._known.get((batch.folder, job.number))
        if before is None or before[0] != seen or before[1].state == "running":
            state = job_state(batch, job)
            self._known[batch.folder, job.number] = before = (seen, state)
        return before[1]

    def _runs(self, problems: list[str]) -> Iterator[Line]:
        for folder in runs_in(self.reports):
            try:
                yield _line_of_run(folder)
            except RedistillError as error:
                if folder.is_dir():  # else it has just gone, which is nobody's fault
                    problems.append(str(error))

    def _batch_text(self, batch: Batch, states: Mapping[int, JobState], *, works: bool) -> str:
        if not works:
            left = sum(state.state not in DONE for state in states.values())
            states = {n: replace(s, state=_left(s.state)) for n, s in states.items()}
            return (
                f"batch {batch.folder.name} is not at work any more, {tally(states.values())}; "
                f"the same command goes on with the {left} that are not done"
            )
        how = "on Slurm" if batch.executor == "slurm" else "at work"
        return f"batch {batch.folder.name} {how}, {tally(states.values())}" + "".join(
            f"; {part}" for part in self._rate(batch, states)
        )

    def _rate(self, batch: Batch, states: Mapping[int, JobState]) -> Iterator[str]:
        """Yield runs an hour, and the time left, as far as they can be told."""
        made = [state for state in states.values() if state.state == "completed"]
        slots = max(sum(state.state == "running" for state in states.values()), 1)
        key = (len(made), slots)
        if self._paces.get(batch.folder, (None,))[0] != key:
            self._paces[batch.folder] = (key, _an_hour(batch, made), Pace(batch, slots))
        _, rate, pace = self._paces[batch.folder]
        if rate:
            yield f"{rate:.3g} runs an hour"
        if left := pace.left(states):
            yield f"about {spoken(_coarse(left))} left"


def _an_hour(batch: Batch, made: Sequence[JobState]) -> float | None:
    """Return the runs an hour from the batch's begin to the last end of a run; None without one."""
    ends = [status.ended for state in made if (status := _status(state.folder))]
    if not any(ends):
        return None
    begun, last = (datetime.fromisoformat(t) for t in (batch.created, max(filter(None, ends))))
    return 3600 * len(made) / max((last - begun).total_seconds(), 1)


def _status(folder: Path) -> Status | None:
    with suppress(RedistillError):
        return read_status(folder)
    return None


def _line_of_run(folder: Path) -> Line:
    """Return the line of a run folder.

    Raises:
        RedistillError: its status is none.
    """
    status = read_status(folder)
    running = status.state == "running"
    ends = datetime.now(UTC).isoformat() if running else status.ended or status.heartbeat
    begun, ended = (datetime.fromisoformat(each) for each in (status.started, ends))
    seconds = max((ended - begun).total_seconds(), 0)
    cause = status.cause
    if status.state == "completed" and not (folder / RECORD).is_file():
        cause = f"it has no {RECORD}, so it does not count"
    return Line(
        name=folder.name,
        state=status.state,
        cause=cause,
        cell=None if status.state == "completed" else status.cell,
        cells=status.cells,
        begun=status.started,
        seconds=_coarse(seconds) if running else seconds,
        folder=folder,
        pid=status.pid if running and status.host == socket.gethostname() else None,
    )


def _line_of_job(batch: Batch, job: Job, state: JobState, *, works: bool) -> Line:
    """Return the line of a job; the folder of an attempt has a line of its own anyway."""
    kind = state.state if works else _left(state.state)
    name = state.folder.name if state.folder else next_attempt(batch.reports, job)
    about, cause = job.spec.text(), state.cause
    return Line(name=name, state=kind, about=about, cause=cause, folder=state.folder)


def _left(state: str) -> str:
    """Return the state of a job whose batch is not at work: nothing waits any more."""
    return "not started" if state == "waiting" else state


def _rank(line: Line) -> tuple[int, int]:
    places = {name: place for place, name in enumerate(_ORDER)}
    return (
        (1, 0) if line.state not in places else (2 * (line.state != "running"), places[line.state])
    )


def _changed(path: Path) -> tuple[str, int]:
    """Return a file with when it was written; 0 if it is not there."""
    with suppress(OSError):
        return path.parent.name, path.stat().st_mtime_ns
    return path.parent.name, 0


def _coarse(seconds: float) -> float:
    return seconds // _STEP * _STEP
