"""Locks that free themselves when their holder dies: one local batch a folder, one run a key."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from redistill.errors import RunError
from redistill.files import inside
from redistill.running.status import now

BATCHES = "batches"  # the folder of all batches, inside the reports folder
_TRIES, _PAUSE = 10, 0.1  # a reader holds the lock for a moment when it asks who has it


def batches_folder(reports: Path) -> Path:
    """Return the folder of batches inside ``reports``, made if need be.

    Raises:
        RedistillError: it leads out of the reports folder, or cannot be made.
    """
    folder = inside(Path(reports), Path(BATCHES))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


@contextmanager
def reports_lock(reports: Path, batch: str) -> Iterator[None]:
    """Be the only local batch at work in ``reports`` while the block runs.

    Raises:
        RunError: another one is; it is named.
    """
    with _open(batches_folder(reports) / ".lock") as file:
        for left in reversed(range(_TRIES)):
            if _taken(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                break
            if not left:
                raise RunError(_refusal(reports, _holder(file)))
            time.sleep(_PAUSE)
        about = {"batch": batch, "pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        file.truncate(0)
        file.write(json.dumps(about) + "\n")
        file.flush()
        yield


def batch_at_work(reports: Path) -> Mapping[str, Any] | None:
    """Return batch, pid, host and since of the local batch at work in ``reports``, if any."""
    try:
        with (Path(reports) / BATCHES / ".lock").open(encoding="utf-8") as file:
            free = _taken(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None if free else _holder(file)
    except OSError:  # no batch was ever here
        return None


def refuse_second(reports: Path) -> None:
    """Raise RunError, naming it, if a local batch is at work in ``reports``."""
    if (holder := batch_at_work(reports)) is not None:
        raise RunError(_refusal(reports, holder))


@contextmanager
def key_lock(reports: Path, key: str) -> Iterator[None]:
    """Be the only process that makes the run of this key; wait until no other is."""
    folder = batches_folder(reports) / ".locks"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    with _open(folder / key[:16]) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open(path: Path) -> TextIO:
    try:
        return path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def _taken(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> Mapping[str, Any]:
    """Return what the holder wrote; less if it has only just begun."""
    file.seek(0)
    try:
        found = json.loads(file.read())
    except ValueError:
        found = {}
    return {"batch": "?", "pid": "?", "host": "?", "since": "just now"} | found


def _refusal(reports: Path, holder: Mapping[str, Any]) -> str:
    return (
        f"a batch is at work in {reports} already: process {holder['pid']} on {holder['host']}, "
        f"since {holder['since']} ({holder['batch']}); wait for its end, or give another --reports"
    )


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{path} cannot be made or written ({error.strerror}); "
        "give a folder you may write to with --reports"
    )
