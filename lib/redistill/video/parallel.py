"""Spread independent jobs over processes, with the results in order."""

import gc
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from redistill.errors import RedistillError

Job = TypeVar("Job")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with (done, total) after each job."""


def spread(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int,
    progress: Progress | None = None,
    chunk: int = 4,
) -> Iterator[Result]:
    """Yield ``function(job)`` for every job, in the order of the jobs.

    Args:
        function: a module-level function or a partial of one (it is pickled).
        jobs: its arguments.
        workers: processes; 0 works in this process.
        progress: called after every result.
        chunk: jobs sent to a process at a time.

    Raises:
        RedistillError: a process died (most often for want of memory); errors raised by
            ``function`` itself pass through.
    """
    jobs = list(jobs)
    try:
        for done, result in enumerate(_results(function, jobs, workers, chunk), 1):
            yield result
            if progress:
                progress(done, len(jobs))
    except BrokenProcessPool as error:
        raise RedistillError(
            f"one of {workers} worker processes died, most often for want of memory; use fewer "
            "workers (0 works in the main process)"
        ) from error


def _results(
    function: Callable[[Job], Result], jobs: list[Job], workers: int, chunk: int
) -> Iterator[Result]:
    if workers == 0:
        yield from map(function, jobs)
        return
    # Forking costs nothing and works in a notebook; elsewhere than on Linux it is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)
    try:
        yield from pool.map(function, jobs, chunksize=chunk)
    finally:
        pool.shutdown(cancel_futures=True)


def _settle() -> None:
    """Leave alone what a forked process inherits: threads and their owners.

    Collecting an inherited scaler of FFmpeg would wait for ever for its threads, which were not
    copied; so would torch's thread pool.
    """
    gc.freeze()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
