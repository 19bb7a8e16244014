"""The folder of a run: new, named plainly, inside the reports folder, and shared with no other."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from redistill.errors import RunError
from redistill.files import inside, slug
from redistill.running.endings import DISK_FULL
from redistill.running.status import Ending, RunStopped


def new_folder(reports: Path, names: Iterable[str]) -> Path:
    """Create the first folder of these ``names`` that does not exist, and return it.

    Raises:
        RedistillError: a name that is not plain.
        RunError: all exist, or the reports folder cannot be written.
        RunStopped: the disk is full.
    """
    try:
        for name in names:
            folder = inside(reports, Path(slug(name)))
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)  # fails if it is there: of two runs, one gets it
                return folder
    except OSError as error:
        if error.errno in DISK_FULL:
            raise RunStopped(Ending("disk_full", f"{error.strerror}: {reports}")) from error
        raise RunError(
            f"no run folder can be made in {reports} ({error.strerror}); "
            "give a folder you may write to with --reports"
        ) from error
    raise RunError(
        f"{folder} exists already; runs never share a folder: give another --run-id, or none"
    )


def default_names(notebook: Path, digest: str) -> Iterator[str]:
    """Yield names for a run: notebook, time in UTC, hash of its parameters, then a number too."""
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", notebook.stem).lstrip("._-")[:80] or "notebook"
    first = f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{digest[:8]}"
    yield first
    yield from (f"{first}-{number}" for number in range(2, 1000))
