"""A batch started from a notebook that outlives notebook, kernel and browser."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from redistill.batch.lock import batches_folder, refuse_second
from redistill.record import RUN_DIR


@dataclass(frozen=True)
class Launched:
    """A batch that was started; its text says how it stands.

    Attributes:
        process: of ``redistill batch``.
        log: what it prints.
    """

    process: subprocess.Popen = field(repr=False)
    log: Path

    def __repr__(self) -> str:
        code = self.process.poll()
        if code is None:
            return f"at work as process {self.process.pid}; its output goes to {self.log}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"ended with exit code {code}: {lines[-1] if lines else 'no output'} ({self.log})"


def launch(*arguments: str | Path, reports: Path | str) -> Launched:
    """Start ``redistill batch`` in a session of its own and return at once.

    Neither an interrupt of the kernel nor its end, nor that of the browser, reaches the batch;
    ``kill -INT`` with the number of its process stops it.  It checks its arguments itself: the
    text of what is returned says so if it refused them.

    Args:
        arguments: as the command takes them: notebooks, ``-g``, ``-p``, ``--slots`` ...
        reports: where runs, and the log of the batch, go.

    Raises:
        RunError: a batch is at work there already, or the folder cannot be written.
    """
    folder = batches_folder(Path(reports).absolute())
    refuse_second(folder.parent)
    log = folder / f"launched-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log"
    command = [sys.executable, "-P", "-m", "redistill", "batch", *map(str, arguments)]
    env = {key: value for key, value in os.environ.items() if key != RUN_DIR}
    with log.open("xb") as file:
        process = subprocess.Popen(
            [*command, "--reports", str(folder.parent)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=env,
            start_new_session=True,
        )
    Thread(target=process.wait, daemon=True).start()  # or it stays as a zombie when it ends
    return Launched(process, log)
