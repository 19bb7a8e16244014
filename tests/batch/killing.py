"""Batches killed at random moments and started again, until they are done."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tiny_runs import start_batch
from truth import Reader, left_over

from redistill.running.status import read_status

KINDS = ("kernel", "worker", "batch", "group")
ENDS = {
    "kernel": ("killed",),
    "worker": ("killed",),
    "batch": ("interrupted", "killed"),
    "group": ("killed",),
}


def wait_for(condition: Callable[[], object], seconds: float = 60) -> object:
    """Return what ``condition`` returns once it is true, or fail."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("waited in vain")


def live(
    folder: Path, axes: dict[str, list[str]], kinds: list[str], chance: random.Random, rows: int
) -> list[str]:
    """Start the batch in ``folder`` again and again, with one kill each time, until it is done.

    Return the kinds of kills that were left to be done when there was nothing to kill any more.
    """
    kinds = list(kinds)
    reader = Reader(folder / "reports", rows)
    (folder / "reports").mkdir()
    reader.start()
    try:
        while True:
            batch = start_batch(folder, axes)
            if kinds and _kill(batch, folder, kinds[0], chance):
                kinds.pop(0)
                batch.wait(600)
                assert batch.returncode != 0
            elif batch.wait(600) == 0:
                break
    finally:
        reader.stop()
    assert reader.lies == []
    assert reader.seen["running"]
    wait_for(lambda: not left_over(folder))
    return kinds


def _kill(batch: psutil.Popen, folder: Path, kind: str, chance: random.Random) -> bool:
    """Kill at a random moment after the first kernel lives; whether there was something to kill.

    Check that the runs which were under way say what became of them.
    """
    wait_for(lambda: batch.poll() is not None or _kernels(batch.pid))
    until = time.monotonic() + chance.uniform(0, 5)
    wait_for(lambda: batch.poll() is not None or time.monotonic() > until)
    wait_for(lambda: batch.poll() is not None or _kernels(batch.pid))
    with suppress(psutil.NoSuchProcess, IndexError):
        kernels = _kernels(batch.pid)
        chosen = chance.choice(kernels)
        victims = {
            "kernel": lambda: [chosen],
            "worker": lambda: [chosen.parent()],
            "batch": lambda: [psutil.Process(batch.pid)],
            "group": lambda: [psutil.Process(batch.pid), *_tree(batch.pid)],
        }[kind]()
        touched = kernels if kind in ("batch", "group") else [chosen]
        runs = [Path(kernel.environ()["REDISTILL_RUN_DIR"]) for kernel in touched]
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        for run in runs:
            _check(run, ENDS[kind])
        return True
    return False


def _check(run: Path, ends: tuple[str, ...]) -> None:
    """Wait until the run tells its end, within seconds, and the right one."""
    wait_for(lambda: read_status(run).state != "running", seconds=60)
    status = read_status(run)
    if (run / "record.json").exists():  # it was at its very end
        assert status.state in ("completed", *ends)
    else:
        assert status.state in ends
        assert status.cause


def _tree(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _kernels(pid: int) -> list[psutil.Process]:
    """Return the kernels below a batch, as soon as they have begun."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in _tree(pid):
            with suppress(psutil.Error):
                if "redistill.running.kernel_main" in process.cmdline():
                    found.append(process)
    return found
