"""How long the rest of a batch takes, from runs of the same notebooks; no guess without any."""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

from redistill.batch.job import Batch, Job, JobState
from redistill.errors import RedistillError
from redistill.running.run_record import read_record
from redistill.running.status import runs_in

Kind = tuple[str, str]  # name of a notebook, profile


class Pace:
    """The seconds of completed runs by notebook and profile, and what follows for the others."""

    def __init__(self, batch: Batch, slots: int) -> None:
        self._jobs, self._slots = batch.jobs, slots
        self._kinds = {job.number: kind_of(job) for job in batch.jobs}
        self._seconds = defaultdict(list, seconds_known(batch.reports))

    def note(self, job: Job, state: JobState) -> None:
        """Learn from a job of the batch that has completed."""
        if state.state == "completed" and state.seconds is not None:
            self._seconds[self._kinds[job.number]].append(state.seconds)

    def left(self, states: Mapping[int, JobState]) -> float | None:
        """Return the seconds to the end of the batch; None if a kind of run was never seen."""
        ends, waiting = [], []
        for job in self._jobs:
            state, known = states[job.number], self._seconds[self._kinds[job.number]]
            if state.state not in ("waiting", "running"):
                continue
            if not known:
                return None
            typical = median(known)
            if state.state == "running":
                ends.append(max(typical - (state.seconds or 0), 0))
            else:
                waiting.append(typical)
        return packed(waiting, self._slots, ends)


def packed(seconds: list[float], slots: int, busy: list[float]) -> float:
    """Return when the last of some runs ends, started in order on the slot that is free first."""
    free = [0.0] * max(slots - len(busy), 0) + busy
    heapq.heapify(free)
    last = max(free, default=0.0)
    for each in seconds:
        end = heapq.heappop(free) + each
        heapq.heappush(free, end)
        last = max(last, end)
    return last


def seconds_known(reports: Path) -> dict[Kind, list[float]]:
    """Return the seconds of all valid records in ``reports``, by notebook and profile."""
    found = defaultdict(list)
    for folder in runs_in(reports):
        with suppress(RedistillError):  # no valid record, no measurement
            record = read_record(folder)
            found[record["notebook"], record["profile"]].append(record["seconds"])
    return found


def kind_of(job: Job) -> Kind:
    """Return what kind of run a job is; ("", "") if its notebook has gone."""
    with suppress(RedistillError):
        return job.spec.notebook.name, job.spec.config.profile
    return "", ""


def spoken(seconds: float) -> str:
    """Return a time as a person says it: 12 s, 4 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02d} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )
