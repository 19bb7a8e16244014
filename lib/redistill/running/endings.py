"""What an exception that stopped a run means for it."""

import errno
import re

from papermill.exceptions import PapermillExecutionError

from redistill.errors import RedistillError
from redistill.running.status import Ending, RunStopped

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# As Python words such an error in a cell, and as libraries written in Rust do.
_FULL = re.compile(r"\[Errno ({0})\]|\(os error ({0})\)".format("|".join(map(str, DISK_FULL))))


def ending_of(error: BaseException) -> Ending:
    """Return what an exception means for the run."""
    if isinstance(error, RunStopped):
        return error.ending
    if isinstance(error, PapermillExecutionError):
        state = "disk_full" if _FULL.search(str(error.evalue)) else "failed"
        return Ending(state, f"{error.ename}: {error.evalue}"[:500], error.exec_count)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Ending("disk_full", f"{error.strerror}: {error.filename or 'a file of the run'}")
    if isinstance(error, RedistillError):
        return Ending("failed", str(error))
    return Ending("failed", f"the runner itself failed: {type(error).__name__}: {error}"[:500])
