"""Following the jobs of a batch in Slurm to their end, without taking silence for an end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from redistill.batch.job import DONE, Batch, Job, JobState, job_state
from redistill.batch.slurm_queue import is_alive, is_waiting, read_queue
from redistill.batch.watch import BatchWatch
from redistill.running.status import RunStopped
from redistill.running.stop import Stop

_TICK = 0.2  # seconds between looks for a signal
_LOOK = 2.0  # seconds between looks at the disk, which may be a network's
_ASK = 10.0  # seconds between questions to Slurm, which serves others too
_PATIENCE = 90.0  # seconds until what a node has written is seen on other machines, at most
_AGAIN = ("PREEMPTED", "TIMEOUT", "NODE_FAIL")  # Slurm took the job away, and brings it not back
_TIMES = 10  # how often such a job is submitted again


class Follower:
    """Looks at Slurm and at the disk until every job has ended; submits again what Slurm drops.

    Args:
        batch: whose jobs.
        ids: Slurm's, by number of the job.
        elsewhere: batch and job whose attempts do a job of this batch, where not its own do.
        submit: submits jobs of the batch and returns their ids by number.
        watch: is told of every change.
    """

    def __init__(
        self,
        batch: Batch,
        ids: Mapping[int, str],
        elsewhere: Mapping[int, tuple[Batch, Job]],
        submit: Callable[[Sequence[Job]], Mapping[int, str]],
        watch: BatchWatch,
    ) -> None:
        self._batch, self._ids, self._submit, self._watch = batch, dict(ids), submit, watch
        self._sources = {job.number: (batch, job) for job in batch.jobs} | dict(elsewhere)
        self._queue: Mapping[str, str] | None = None
        self._before: Mapping[int, JobState] = {}
        self._asked = 0.0
        self._gone: dict[int, float] = {}  # since when Slurm has had a job no more
        self._back: dict[int, int] = {}  # attempts that a job had begun when it last waited
        self._submitted: Counter[int] = Counter()
        self._over: dict[int, JobState] = {}

    def follow(self, stop: Stop) -> Mapping[int, JobState]:
        """Return what became of each job, or raise RunStopped after a signal."""
        while True:
            states = self._look()
            self._watch.tick(states)
            if len(self._over) == len(states):
                return states
            until = time.monotonic() + _LOOK
            while time.monotonic() < until:
                if stop.signal is not None:
                    self._leave(stop)
                time.sleep(_TICK)

    def _look(self) -> Mapping[int, JobState]:
        """Ask Slurm if it is time, then the disk: what has ended by then has written its end."""
        if not self._asked or time.monotonic() - self._asked > _ASK:
            self._queue, self._asked = read_queue(), time.monotonic()
        left = {n: where for n, where in self._sources.items() if n not in self._over}
        found = {number: job_state(*where) for number, where in left.items()}
        if any(found[n].state != self._before[n].state for n in found if n in self._before):
            self._asked = 0.0  # something has ended or begun, so Slurm has news
        self._before = found
        return {number: self._judged(number, state) for number, state in found.items()} | self._over

    def _judged(self, number: int, state: JobState) -> JobState:
        """Return the state of a job, as Slurm and the disk have it together; note if it is over."""
        if state.state in DONE:
            return self._over.setdefault(number, state)
        if self._queue is None:
            return state
        slurm = self._queue.get(self._ids[number])
        if is_alive(slurm):
            self._gone.pop(number, None)
            if is_waiting(slurm):
                self._back[number] = state.attempts
            comes_back = self._back.get(number) == state.attempts and state.state != "running"
            return replace(state, state="waiting") if comes_back else state
        gone = time.monotonic() - self._gone.setdefault(number, time.monotonic())
        late = slurm == "COMPLETED" or state.state == "waiting"
        if state.state == "running" or (late and gone < _PATIENCE):
            return state  # not all is told yet
        if slurm in _AGAIN and self._submitted[number] < _TIMES:
            return self._bring_back(number, state)
        return self._over.setdefault(number, self._told(state, slurm))

    def _bring_back(self, number: int, state: JobState) -> JobState:
        """Submit a job again that Slurm took away."""
        self._submitted[number] += 1
        job = next(job for job in self._batch.jobs if job.number == number)
        self._ids |= self._submit([job])
        self._sources[number] = (self._batch, job)
        self._gone.pop(number)
        self._asked = 0.0
        return replace(state, state="waiting")

    def _told(self, state: JobState, slurm: str | None) -> JobState:
        """Return what to say of a job that is over."""
        if state.state == "waiting":
            told = f"Slurm: {slurm}" if slurm else "Slurm knows of it no more"
            cause = f"it never began ({told}); see the logs in {self._batch.folder / 'slurm'}"
            return replace(state, state="failed", cause=cause)
        if slurm in (None, "FAILED", "COMPLETED"):  # this says no more than the state itself
            return state
        return replace(state, cause=f"{state.cause} (Slurm: {slurm})")

    def _leave(self, stop: Stop) -> None:
        """Raise RunStopped; the jobs go on."""
        try:
            stop.check()
        except RunStopped as error:
            cause = f"{error.ending.cause}; {how_to_come_back(self._batch)}"
            raise RunStopped(replace(error.ending, cause=cause)) from None


def how_to_come_back(batch: Batch) -> str:
    """Return what to do once nobody watches the jobs."""
    return (
        f"the jobs go on: `redistill status --reports {batch.reports}` tells of them, the same "
        "command watches them again, `scancel` ends them"
    )
