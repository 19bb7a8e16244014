"""The end of a batch: what is said of runs that are not there, and the index over all."""

import sys
from collections.abc import Mapping

from redistill.batch.job import DONE, Batch, JobState, log_path
from redistill.errors import RedistillError
from redistill.running.status import Ending, RunStopped


def check_all(batch: Batch, states: Mapping[int, JobState], *, state: str, why: str = "") -> None:
    """Raise RunStopped, naming each run that is not there and why, if there is one.

    Args:
        batch: whose runs.
        states: of its jobs, by number.
        state: what the batch as a whole then is, one of ``running.status.STATES``.
        why: what stopped the batch as a whole.
    """
    bad = [job for job in batch.jobs if states[job.number].state not in DONE]
    if not bad:
        return
    lines = [f"{len(bad)} of {len(batch.jobs)} runs did not complete"]
    lines += [why] if why else []
    for job in bad:
        about = states[job.number]
        cause = f": {about.cause}" if about.cause else ""
        told = "not started" if about.state == "waiting" else f"{about.state}{cause}"
        lines.append(f"{job.spec.text()}  {told}  ({log_path(batch, job)})")
    raise RunStopped(Ending(state, "\n  ".join(lines)))


def write_index(batch: Batch) -> None:
    """Write the index over all runs; the runs matter more than their index."""
    from redistill.reporting.index import build_index

    try:
        build_index(batch.reports)
    except (OSError, RedistillError) as error:
        print(f"redistill: no index of {batch.reports}: {error}", file=sys.stderr)
