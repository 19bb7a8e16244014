"""Spread independent jobs over processes, with the results in order."""

import gc
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
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
    with ExitStack() as stack:
        results: Iterator[Result] = map(function, jobs)
        if workers:
            # Forking costs nothing and works in a notebook; elsewhere than on Linux it is not safe.
            context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)
            stack.callback(pool.shutdown, cancel_futures=True)
            results = pool.map(function, jobs, chunksize=chunk)
        try:
            for done, result in enumerate(results, 1):
                yield result
                if progress:
                    progress(done, len(jobs))
        except BrokenProcessPool as error:
            raise RedistillError(
                f"one of {workers} worker processes died, most often for want of memory; use fewer "
                "workers (0 works in the main process)"
            ) from error


def _settle() -> None:
    """Leave alone what a forked process inherits: threads and their owners.

    Collecting an inherited scaler of FFmpeg would wait for ever for its threads, which were not
    copied; so would torch's thread pool.
    """
    gc.freeze()
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
