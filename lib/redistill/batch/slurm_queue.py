"""What Slurm says of jobs, by ``squeue`` alone: not every cluster keeps accounts."""

import os
import subprocess
from collections.abc import Mapping

# All other states are of jobs that wait, run, or are being ended or requeued.
_ENDED = frozenset(
    (
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    )
)
_AT_WORK = frozenset(("COMPLETING", "RUNNING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"))


def read_queue() -> Mapping[str, str] | None:
    """Return the state of each of this user's jobs that Slurm remembers, by its id.

    An element of an array has an id like "12_3".  Slurm forgets a job minutes after its end.
    None if Slurm does not answer, so that nobody takes silence for the end of all jobs.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T"]
    command.append(f"--user={os.getuid()}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split() for line in done.stdout.splitlines() if line.strip())


def is_alive(state: str | None) -> bool:
    """Return whether a job in this state can still begin, go on or come back."""
    return state is not None and state not in _ENDED


def is_waiting(state: str | None) -> bool:
    """Return whether a job in this state waits for its start, the first or another."""
    return is_alive(state) and state not in _AT_WORK
