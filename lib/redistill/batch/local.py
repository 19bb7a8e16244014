"""A batch on this machine: a queue of jobs, and slots that work it off."""

import os
import signal
import subprocess
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from redistill.batch.finish import check_all, write_index
from redistill.batch.found import find_runs
from redistill.batch.job import DONE, Batch, Job, JobState, job_state, log_path
from redistill.batch.lock import reports_lock
from redistill.batch.slots import Slot
from redistill.batch.watch import BatchWatch
from redistill.batch.worker import worker_command
from redistill.running.endings import DISK_FULL
from redistill.running.status import RunStopped
from redistill.running.stop import Stop, stop_signals

_TICK = 0.1  # seconds between looks at the workers
_LOOK = 0.5  # seconds between looks at what the running ones say of themselves
_PATIENCE = 30.0  # seconds that stopped workers have to write how their runs ended
_NO_SPACE = 5  # the exit code of a worker that found the disk full
_NO_MORE = "nothing more was started"


def run_local(batch: Batch, slots: Sequence[Slot], *, retries: int, watch: BatchWatch) -> None:
    """Make the runs of ``batch`` that are not there, one at a time on each slot, in their order.

    A run that was killed comes again when the others have had their turn.  A run that fails stops
    no other one; a full disk lets no more begin.

    Args:
        batch: as ``new_batch`` made it.
        slots: where runs go.
        retries: how many more attempts a run gets that was killed.
        watch: is told of every change.

    Raises:
        RunStopped: Ctrl-C or another signal asked to stop, or some run did not complete.
        RunError: another local batch is at work in the same reports folder.
    """
    with reports_lock(batch.reports, batch.folder.name), stop_signals() as stop:
        queue = _Queue(batch, slots, retries, watch)
        try:
            queue.work(stop)
        finally:
            queue.kill()
            watch.close()
            if not queue.full:
                write_index(batch)
    queue.check()


@dataclass
class _Working:
    """A job and the worker that does it."""

    job: Job
    process: subprocess.Popen
    before: int  # attempts that the job had begun earlier
    looked: float = 0.0


class _Queue:
    """The jobs that wait, those at work, and what became of all."""

    def __init__(
        self, batch: Batch, slots: Sequence[Slot], retries: int, watch: BatchWatch
    ) -> None:
        self._batch, self._slots, self._retries, self._watch = batch, slots, retries, watch
        there = find_runs(batch.reports, {job.key for job in batch.jobs})
        self._waiting = deque(job for job in batch.jobs if job.key not in there)
        self._states = {job.number: JobState(state="waiting") for job in self._waiting}
        for job in batch.jobs:
            if job.key in there:
                self._states[job.number] = JobState(state="found", folder=there[job.key])
        self._busy: dict[Slot, _Working] = {}
        self._reporting: list[_Working] = []  # their runs have ended, so their slots are free
        self._begun: Counter[int] = Counter()
        self.full = ""  # why nothing more may begin

    def work(self, stop: Stop) -> None:
        """Work off the queue, or raise RunStopped after a signal, when all runs have ended."""
        self._watch.tick(self._states)
        while self._busy or self._reporting or (self._waiting and not self.full):
            if stop.signal is not None:
                self._stop(stop)
            for slot in self._slots:
                if slot not in self._busy and self._waiting and not self.full:
                    self._begin(slot, self._waiting.popleft())
            self._look()
            self._watch.tick(self._states)
            time.sleep(_TICK)

    def kill(self) -> None:
        """Kill what is left; its kernels die with it, and the next reader tells."""
        for working in (*self._busy.values(), *self._reporting):
            working.process.kill()
            working.process.wait()
        self._busy.clear()
        self._reporting.clear()

    def check(self) -> None:
        """Raise RunStopped if some run is not there."""
        state = "disk_full" if self.full else "failed"
        check_all(self._batch, self._states, state=state, why=self.full)

    def _begin(self, slot: Slot, job: Job) -> None:
        env = os.environ if slot.device is None else _seeing(slot.device)
        try:
            with log_path(self._batch, job).open("ab") as log:
                # A group of its own, so that a Ctrl-C reaches it once: from here.
                process = subprocess.Popen(
                    worker_command(self._batch.folder, job.number),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=env,
                    process_group=0,
                )
        except OSError as error:
            state = "disk_full" if error.errno in DISK_FULL else "failed"
            cause = f"no worker could be started: {error.strerror}"
            self._states[job.number] = JobState(state=state, cause=cause)
            self.full = f"{cause}; {_NO_MORE}" if state == "disk_full" else self.full
            return
        self._begun[job.number] += 1
        self._busy[slot] = _Working(job, process, self._states[job.number].attempts)

    def _look(self) -> None:
        """Look which workers have ended, and now and then what the others say."""
        for slot, working in list(self._busy.items()):
            ended = working.process.poll() is not None
            if ended or time.monotonic() - working.looked > _LOOK:
                working.looked = time.monotonic()
                state = self._states[working.job.number] = job_state(self._batch, working.job)
                begun = state.attempts > working.before or state.state in DONE
                if ended or (begun and state.state not in ("waiting", "running")):
                    self._reporting.append(self._busy.pop(slot))
                    if state.state == "disk_full":
                        self.full = f"{state.cause}; {_NO_MORE}"
        for working in list(self._reporting):
            if working.process.poll() is not None:
                self._reporting.remove(working)
                self._settle(working.job, working.process.returncode)

    def _settle(self, job: Job, code: int) -> None:
        """Note how a worker ended; a job that was killed waits again."""
        state = self._states[job.number]
        if state.state in ("waiting", "running") or (
            code == _NO_SPACE and state.state != "disk_full"
        ):
            state = replace(state, **_unsaid(code))
            self._states[job.number] = state
        if code == _NO_SPACE:
            self.full = f"{state.cause}; {_NO_MORE}"
        elif state.state == "killed" and self._begun[job.number] <= self._retries:
            self._waiting.append(job)

    def _stop(self, stop: Stop) -> None:
        """Hand the signal on, wait until every run says how it ended, and raise RunStopped."""
        number, stop.signal = stop.signal, None
        for working in self._busy.values():
            working.process.send_signal(number)
        until = time.monotonic() + _PATIENCE
        while (self._busy or self._reporting) and time.monotonic() < until and not stop.signal:
            self._look()
            self._watch.tick(self._states)
            time.sleep(_TICK)
        self.kill()
        done = sum(state.state in DONE for state in self._states.values())
        stop.signal = number
        try:
            stop.check()
        except RunStopped as error:
            left = f"{done} of {len(self._states)} runs are done; the same command goes on"
            raise RunStopped(replace(error.ending, cause=f"{error.ending.cause}; {left}")) from None


def _unsaid(code: int) -> Mapping[str, str]:
    """Return state and cause of a job whose worker ended without a word on disk."""
    if code == _NO_SPACE:
        return {"state": "disk_full", "cause": "No space left on device"}
    if code > 128 or -code in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        return {"state": "interrupted", "cause": "its worker was stopped before the run began"}
    if code < 0:
        return {"state": "killed", "cause": f"its worker was killed by signal {-code}"}
    return {"state": "failed", "cause": f"its worker ended with exit code {code}"}


def _seeing(device: str) -> Mapping[str, str]:
    return {**os.environ, "CUDA_VISIBLE_DEVICES": device}
