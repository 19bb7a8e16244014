"""What the person who waits for a batch sees, and what ``redistill status`` says of batches."""

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from redistill.batch.job import DONE, Batch, Job, JobState, batches_in, job_state, load_batch
from redistill.batch.lock import batch_at_work
from redistill.batch.pace import Pace, spoken
from redistill.errors import RedistillError

_REDRAW = 0.5  # seconds


class BatchWatch:
    """Progress on the error stream: a live block on a terminal, a line for each event in a log."""

    def __init__(
        self, batch: Batch, *, slots: int, shown: bool = True, stream: TextIO | None = None
    ) -> None:
        """``slots``: how many runs there can be at once, for the time left."""
        self._batch, self._stream, self._shown = batch, stream or sys.stderr, shown
        self._live = shown and self._stream.isatty()
        self._before: dict[int, JobState] = {}
        self._pace = Pace(batch, slots)
        self._block, self._drawn, self._since = 0, 0.0, time.monotonic()

    def tick(self, states: Mapping[int, JobState]) -> None:
        """Show what has changed; ``states`` has every job's by number."""
        events = [job for job in self._batch.jobs if self._news(job, states[job.number])]
        for job in events:
            self._pace.note(job, states[job.number])
        with suppress(OSError):  # a terminal that has gone, a log on a full disk: the runs go on
            self._show(events, states)
        self._before = dict(states)

    def close(self) -> None:
        """Clear the live block."""
        with suppress(OSError):
            self._erase()

    def _show(self, events: list[Job], states: Mapping[int, JobState]) -> None:
        if self._shown and events:
            self._erase()
            for line in self._events(events, states):
                print(line, file=self._stream)
            self._stream.flush()
        if self._live and (events or time.monotonic() - self._drawn > _REDRAW):
            self._draw(states)

    def _news(self, job: Job, state: JobState) -> bool:
        before = self._before.get(job.number)
        if before is None:
            return state.state != "waiting"
        return (before.state, before.attempts) != (state.state, state.attempts)

    def _events(self, jobs: list[Job], states: Mapping[int, JobState]) -> list[str]:
        """Return a line for each event; those that were there at the beginning share one."""
        lines = []
        if not self._before and (there := [j for j in jobs if states[j.number].state == "found"]):
            lines.append(f"{len(there)} of {len(self._batch.jobs)} runs are there already")
            jobs = [job for job in jobs if job not in there]
        lines += [f"{_clock()}  {_line(job, states[job.number])}" for job in jobs]
        if jobs and any(states[job.number].state not in ("waiting", "running") for job in jobs):
            lines.append(f"{_clock()}  {self._summary(states)}")
        return lines

    def _summary(self, states: Mapping[int, JobState]) -> str:
        """Return counts of states, the rate, and the time left if it can be told."""
        parts = [tally(states.values())]
        made = sum(state.state == "completed" for state in states.values())
        if made and (spent := time.monotonic() - self._since) > 1:
            parts.append(f"{3600 * made / spent:.3g} runs an hour")
        if left := self._pace.left(states):
            parts.append(f"about {spoken(left)} left")
        return "; ".join(parts)

    def _draw(self, states: Mapping[int, JobState]) -> None:
        width, height = shutil.get_terminal_size()
        running = [job for job in self._batch.jobs if states[job.number].state == "running"]
        lines = [self._summary(states), *(f"  {_line(j, states[j.number])}" for j in running)]
        lines = lines[: max(height - 2, 1)]
        self._erase()
        self._stream.write("".join(f"{line[: width - 1]}\n" for line in lines))
        self._stream.flush()
        self._block, self._drawn = len(lines), time.monotonic()

    def _erase(self) -> None:
        if self._block:
            self._stream.write(f"\x1b[{self._block}A\x1b[J")
            self._stream.flush()
            self._block = 0


def tally(states: Iterable[JobState]) -> str:
    """Return "3/9 runs done: 2 completed, 1 found, 2 running" and so on."""
    found = Counter(state.state for state in states)
    done = sum(found[name] for name in DONE)
    named = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    return f"{done}/{found.total()} runs done: {named}"


def status_lines(reports: Path) -> list[str]:
    """Return what to say of the batches in ``reports``: each with its jobs that are not done."""
    lines = []
    holder = batch_at_work(reports)
    at_work = holder["batch"] if holder else None
    for folder in batches_in(reports):
        try:
            lines += _batch_lines(load_batch(folder), at_work)
        except RedistillError as error:
            lines.append(f"batch {folder.name}  cannot be read: {error}")
    return lines


def _batch_lines(batch: Batch, at_work: str | None) -> list[str]:
    states = {job.number: job_state(batch, job) for job in batch.jobs}
    notes: Mapping[int, str] = {}
    how = batch.executor
    if batch.executor == "slurm":
        from redistill.batch.slurm import slurm_states

        notes = {number: f" (Slurm: {state})" for number, state in slurm_states(batch).items()}
    elif batch.folder.name == at_work:
        how += ", at work"
    else:
        states = {n: _left(state) for n, state in states.items()}
        if any(state.state == "not started" for state in states.values()):
            how += ", not at work any more: start it again to go on"
    lines = [f"batch {batch.folder.name}  {how}  {tally(states.values())}"]
    for job in batch.jobs:
        if states[job.number].state not in DONE:
            lines.append(f"  {_line(job, states[job.number])}{notes.get(job.number, '')}")
    return lines


def _left(state: JobState) -> JobState:
    """Return the state of a job whose batch has ended: nothing waits any more."""
    return replace(state, state="not started") if state.state == "waiting" else state


def _line(job: Job, state: JobState) -> str:
    """Return one job and its state."""
    cell = f" cell {state.cell}/{state.cells}" if state.cell and state.cells else ""
    time_taken = f", {spoken(state.seconds)}" if state.seconds is not None else ""
    again = f", attempt {state.attempts}" if state.attempts > 1 else ""
    cause = f": {state.cause}" if state.cause else ""
    return f"{job.number:3d} {job.spec.text()}  {state.state}{cell}{time_taken}{again}{cause}"


def _clock() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"
