"""Cores, memory and room on disk, against what runs take."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from redistill.doctor import limits
from redistill.doctor.finding import FAIL, OK, WARN, Finding
from redistill.doctor.known import records, size
from redistill.files import cache_root, write_atomic

if TYPE_CHECKING:
    from redistill.doctor.examine import Asked

_LEAST_MEMORY = 1.5e9  # bytes: Python with torch takes 0.5 GB, quick runs somewhat more
# The quick synthetic set is 40 MB, the standard one 0.3 GB, checkpoints come on top.
_LEAST_DISK, _STANDARD_DISK = 0.2e9, 2e9
_TEMPORARY = "temporary files"


def check_processor(asked: "Asked") -> Finding:
    """Count the cores that may be used and how busy they are."""
    cores, load = limits.cores(), os.getloadavg()[0]
    threads = os.environ.get("OMP_NUM_THREADS")
    told = f", OMP_NUM_THREADS is {threads}" if threads else ""
    text = (
        f"{cores:g} of {os.cpu_count()} cores may be used, load {load:.1f}{told}; a run takes one "
        "unless its parameter threads says more"
    )
    if cores < 1:
        return Finding("processor", WARN, text, "a quota below one core: expect longer times")
    if load > cores + 0.5:
        todo = "others compute here as well: expect longer times, or wait"
        return Finding("processor", WARN, text, todo)
    return Finding("processor", OK, text)


def check_memory(asked: "Asked") -> Finding:
    """Compare the memory that can be had with the peaks of the reference runs."""
    free, limited = limits.memory()
    found = records(notebook=asked.notebook)
    most = max(found, key=lambda one: one["peak_memory"], default=None)
    text = f"{size(free)} can be had{' (limit of the control group)' if limited else ''}"
    if most is not None:
        name = most["notebook"].removesuffix(".ipynb")
        text += f"; the largest reference run took {size(most['peak_memory'])} ({name})"
    if free < _LEAST_MEMORY:
        todo = "close other programs or kernels, or raise the container's limit"
        return Finding("memory", FAIL, f"{text}; {size(_LEAST_MEMORY)} are needed at least", todo)
    if most is not None and free < most["peak_memory"]:
        todo = "quick runs fit; for standard ones close other programs, and one run at a time"
        return Finding("memory", WARN, text, todo)
    return Finding("memory", OK, text)


def check_disk(asked: "Asked") -> Finding:
    """Look at room, rights, renaming and locking where runs, cache and temporary files go."""
    places = {"runs": asked.reports, "cache": cache_root(), _TEMPORARY: Path(tempfile.gettempdir())}
    needs, known = disk_needs(asked)
    free, faults, small = {}, [], []
    for what, place in places.items():
        there = next(p for p in (place.absolute(), *place.absolute().parents) if p.exists())
        free[what] = shutil.disk_usage(there).free
        if fault := writing_fault(there, try_out=there == place.absolute()):
            faults.append(f"{what} ({place}): {fault}")
        if free[what] < _LEAST_DISK:
            faults.append(f"{what} ({place}): {size(free[what])} free")
        elif free[what] < needs and what != _TEMPORARY:
            small.append(what)
    room = {}
    for what, nbytes in free.items():
        room.setdefault(size(nbytes), []).append(what)
    if faults:
        todo = "make room, or choose other folders: --reports, REDISTILL_CACHE, TMPDIR"
        return Finding("disk", FAIL, "; ".join(faults), todo)
    told = ", ".join(f"{nbytes} for {' and '.join(names)}" for nbytes, names in room.items())
    text = f"free: {told}; a standard run takes {known}"
    if small:
        return Finding("disk", WARN, text, f"quick runs fit; make room for {' and '.join(small)}")
    return Finding("disk", OK, f"{text}; writing, renaming and locking work")


def disk_needs(asked: "Asked") -> tuple[float, str]:
    """Return the bytes that a standard run writes, and how that is known."""
    found = records(notebook=asked.notebook) + records(asked.reports, notebook=asked.notebook)
    sizes = [sum(one["disk"].values()) for one in found if one.get("disk")]
    if sizes:
        return max(_LEAST_DISK, *sizes), f"{size(max(sizes))} at most ({len(sizes)} records tell)"
    return _STANDARD_DISK, f"less than {size(_STANDARD_DISK)} by estimate: no record tells"


def writing_fault(folder: Path, *, try_out: bool) -> str:
    """Return why files could not be written in ``folder`` as runs do, or "".

    Args:
        folder: that exists.
        try_out: whether to try in a temporary folder inside it, which is removed again.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        return "no right to write there"
    if not try_out:
        return ""
    try:
        with tempfile.TemporaryDirectory(prefix=".redistill-doctor-", dir=folder) as inner:
            path = Path(inner, "file")
            for text in ("one", "two"):
                write_atomic(path, text)
            with path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.read_text() != "two" or [*Path(inner).iterdir()] != [path]:
                return "a file that was renamed over another does not hold what was written"
    except OSError as error:
        return f"writing, renaming or locking failed ({error.strerror or error})"
    return ""
