"""What an exception that stopped a run means for it."""

import errno
import re

from papermill.exceptions import PapermillExecutionError

from redistill.errors import RedistillError
from redistill.running.status import Ending, RunStopped

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GPU_FULL = re.compile(r"CUDA out of memory|CUDA error: out of memory")
# As Python words such an error in a cell, and as libraries written in Rust do.
_FULL = re.compile(r"\[Errno ({0})\]|\(os error ({0})\)".format("|".join(map(str, DISK_FULL))))


def ending_of(error: BaseException) -> Ending:
    """Return what an exception means for the run."""
    if isinstance(error, RunStopped):
        return error.ending
    if isinstance(error, PapermillExecutionError):
        state = "disk_full" if _FULL.search(str(error.evalue)) else "failed"
        about = "out of GPU memory: " if _gpu_full(error) else ""
        return Ending(state, f"{about}{error.ename}: {error.evalue}"[:500], error.exec_count)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Ending("disk_full", f"{error.strerror}: {error.filename or 'a file of the run'}")
    if isinstance(error, RedistillError):
        return Ending("failed", str(error))
    return Ending("failed", f"the runner itself failed: {type(error).__name__}: {error}"[:500])


def _gpu_full(error: PapermillExecutionError) -> bool:
    """Whether torch said so; the kernel lives on, so it is the notebook that failed."""
    return error.ename == "OutOfMemoryError" or bool(_GPU_FULL.search(str(error.evalue)))
