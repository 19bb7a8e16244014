"""A reader who asks all the time what became of every run, and remembers each lie."""

import hashlib
import json
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from redistill.batch.job import batches_in, job_state, load_batch
from redistill.errors import RedistillError
from redistill.running.status import STATES, read_status

PATIENCE = 5  # seconds for which a dead runner may still pass as running


class Reader(threading.Thread):
    """Reads all batches and runs in a reports folder until it is stopped.

    What it believes is checked by its own means: the records as JSON, processes by their pid.
    """

    def __init__(self, reports: Path, rows: int) -> None:
        super().__init__(daemon=True)
        self.reports, self.rows = reports, rows
        self.lies: list[str] = []
        self.seen: Counter[str] = Counter()
        self._records: dict[str, str] = {}  # key -> hash of its record
        self._attempts: dict[str, set[str]] = {}  # key -> folders when it was done
        self._dead: dict[Path, float] = {}  # since when a run passes as running without a process
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self.look()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop reading, after a last look."""
        self._over.set()
        self.join()
        self.look()

    def look(self) -> None:
        """Read everything once."""
        try:
            for folder in batches_in(self.reports):
                batch = load_batch(folder)
                for job in batch.jobs:
                    self._job(job, job_state(batch, job))
            running: Counter[str] = Counter()
            for path in self.reports.glob("*/status.json"):
                running[path.parent.name[:14]] += self._run(path.parent)
            self.lies += [f"{name}: two at once" for name, n in running.items() if n > 1]
        except Exception as error:
            self.lies.append(f"a reader fell over {type(error).__name__}: {error}")

    def _job(self, job, state) -> None:
        self.seen[state.state] += 1
        if state.state not in (*STATES, "waiting", "found"):
            self.lies.append(f"{job.name} is {state.state}")
        if state.state in ("completed", "found"):
            self._done(job, state.folder)
        elif job.key in self._records:
            self.lies.append(f"{job.name} was completed, and is {state.state} now")

    def _done(self, job, folder: Path) -> None:
        raw = (folder / "record.json").read_bytes()
        record = json.loads(raw)
        if record["key"]["value"] != job.key or len(record["rows"]) != self.rows:
            self.lies.append(f"{folder.name} counts with {len(record['rows'])} rows")
        digest = hashlib.sha256(raw).hexdigest()
        if self._records.setdefault(job.key, digest) != digest:
            self.lies.append(f"{job.name} has another record than before")
        attempts = {path.name for path in self.reports.glob(f"{job.name}*")}
        if self._attempts.setdefault(job.key, attempts) != attempts:
            self.lies.append(f"{job.name} was completed, and was begun again")

    def _run(self, folder: Path) -> bool:
        """Check the status of one run; return whether it is at work."""
        try:
            status = read_status(folder)
        except RedistillError as error:
            self.lies.append(f"{folder.name}: {error}")
            return False
        if status.state == "completed" and not (folder / "record.json").is_file():
            self.lies.append(f"{folder.name} is completed without a record")
        if status.state != "running" or lives(status.pid):
            self._dead.pop(folder, None)
        elif time.monotonic() - self._dead.setdefault(folder, time.monotonic()) > PATIENCE:
            self.lies.append(f"{folder.name} is running, but process {status.pid} is not")
        return status.state == "running"


def lives(pid: int) -> bool:
    """Whether there is such a process, not only what init has not collected."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def left_over(folder: Path) -> list[psutil.Process]:
    """Return the processes, kernels above all, that still work below ``folder``."""
    found = []
    for process in psutil.process_iter():
        try:
            about = [*process.cmdline(), process.environ().get("REDISTILL_RUN_DIR", "")]
            if lives(process.pid) and any(str(folder) in text for text in about):
                found.append(process)
        except psutil.Error:
            continue
    return found
