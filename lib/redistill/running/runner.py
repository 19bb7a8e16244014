"""Running a notebook into a folder of its own, from validated parameters to a valid record."""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import nbformat
from papermill import execute_notebook

from redistill.config import as_json, config_hash, plain, resolve
from redistill.configs import config_name, load_config
from redistill.files import cache_root, write_atomic, write_json
from redistill.running.content import folder_bytes
from redistill.running.endings import ending_of
from redistill.running.environment import environment, library_hash
from redistill.running.key import cells_part, input_files, run_key, source_part
from redistill.running.notebook import notebook_hash, read_notebook
from redistill.running.parameters_cell import cell_values, own_cells
from redistill.running.progress import Progress, Watch
from redistill.running.run_folder import default_names, new_folder
from redistill.running.run_record import build_record
from redistill.running.status import Ending, RunStopped, now, running, write_status
from redistill.running.stop import Stop, stop_signals

_BALLAST = ".ballast"  # given up when the disk is full, so that the status can still be told
_PARSING = Lock()  # Python 3.11 cannot build two syntax trees in two threads at once
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB")


def run_notebook(
    notebook: Path,
    *,
    parameters: Mapping[str, Any],
    reports: Path,
    run_id: str | None = None,
    config: type | None = None,
    cell_timeout: float | None = None,
    budget: float | None = None,
    progress: bool = True,
) -> Path:
    """Execute ``notebook`` into a new folder below ``reports`` and return that folder.

    Args:
        notebook: the .ipynb file; it is not changed.
        reports: the folder that holds one folder for each run.
        parameters: those that differ from the profile's values.
        run_id: name of the folder; without one, notebook, time (UTC) and a hash of the parameters.
        config: the config class; without one, the notebook's metadata names it.
        cell_timeout: seconds that one cell may take.
        budget: seconds that the whole run may take.
        progress: whether to tell of each cell on the error stream.

    Raises:
        ConfigError: bad parameters; nothing has been started or written.
        RunStopped: the run did not complete; its folder has the true status and, executed as far
            as it came, the notebook.
        RunError: it could not start.
    """
    with _PARSING:
        run = _Run(Path(notebook), parameters, config, progress)
    with stop_signals() as stop:
        digest = run.facts["config_hash"]
        names = default_names(Path(notebook), digest) if run_id is None else [run_id]
        limits = {"execution_timeout": cell_timeout, "budget": budget}
        run.execute(new_folder(Path(reports), names), stop, limits)
    return run.folder


class _Run:
    """One run: checked when it is made; under way, keeps its status true and tells how it ended."""

    folder: Path

    def __init__(
        self, path: Path, parameters: Mapping[str, Any], config: type | None, progress: bool
    ) -> None:
        self.nb = read_notebook(path)
        self.nb.cells = own_cells(self.nb)
        name = config.__name__ if config else config_name(self.nb.metadata)
        config = config or load_config(name)
        given = {key: value for key, value in parameters.items() if value is not None}
        given = cell_values(self.nb, config, path) | given
        self.config = resolve(config, given)
        # The kernel works in a folder of its own, so paths are meant from where the user stands;
        # the record has them as they were given, and so names no folder of this machine.
        places = {k: v.absolute() for k, v in input_files(self.config).items() if k in given}
        self.placed = plain(given | places)
        self.key = run_key(self.nb, self.config)
        self.facts = {
            "notebook": path.name,
            "notebook_hash": notebook_hash(self.nb),
            "config": name,
            "config_hash": config_hash(self.config),
            "profile": self.config.profile,
            "parameters": as_json(self.config),
            "given": plain(given),
        }
        self.watch = Watch(Progress(shown=progress), self._beat)

    def execute(self, folder: Path, stop: Stop, limits: Mapping[str, float | None]) -> None:
        """Run to a valid record, or leave the reason behind and raise RunStopped."""
        self.folder, self.status = folder, running()
        try:
            self._prepare()
            stop.check()
            self._drive(limits)
            stop.check()
            self._record()
            self._tidy()
            write_status(self.folder, self.status.after(Ending("completed", "")))
        except BaseException as error:
            ending = ending_of(error)
            if ending.cell is None and not isinstance(error, RunStopped):
                ending = replace(ending, cell=self.status.cell)
            self._fail(ending)
            if isinstance(error, Exception):
                raise RunStopped(ending, self.folder) from error
            raise

    def _prepare(self) -> None:
        write_status(self.folder, self.status)
        (self.folder / _BALLAST).write_bytes(b"\0" * 65536)
        (self.folder / "scratch").mkdir()
        write_json(self.folder / "parameters.json", self.facts["parameters"])
        made = environment()
        write_json(self.folder / "environment.json", made)
        self.facts |= {key: made.pop(key) for key in ("git", "versions", "ffmpeg")}
        self.facts |= {"machine": made, "library_hash": library_hash()}
        self._save(self.nb)

    def _drive(self, limits: Mapping[str, float | None]) -> None:
        env = {"REDISTILL_RUN_DIR": str(self.folder)}
        if threads := getattr(self.config, "threads", None):
            env |= {f"{name}_NUM_THREADS": str(threads) for name in _THREADS}
        # papermill formats paths with parameters; doubled braces stay braces
        source = str(self.folder / "notebook.ipynb").replace("{", "{{").replace("}", "}}")
        execute_notebook(
            source,
            None,
            parameters=self.placed,
            engine_name="redistill",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            save=self._save,
            watch=self.watch,
            kernel_cwd=self.folder / "scratch",
            env=env,
            **limits,
        )

    def _save(self, nb: Any) -> None:
        write_atomic(self.folder / "notebook.ipynb", nbformat.writes(nb))

    def _beat(self, cell: int | None, cells: int) -> None:
        self.status = replace(self.status, cell=cell, cells=cells, heartbeat=now())
        write_status(self.folder, self.status)

    def _record(self) -> None:
        begun, ended = map(datetime.fromisoformat, (self.status.started, now()))
        written = folder_bytes(cache_root(), since=begun.timestamp())
        self.facts |= {
            "run": self.folder.name,
            "key": self._key_that_held(),
            "started": self.status.started,
            "ended": ended.isoformat(timespec="milliseconds"),
            "seconds": (ended - begun).total_seconds(),
            "disk": {"run": folder_bytes(self.folder), "cache": written},
            "cell_seconds": self.watch.seconds,
            "peak_memory": self.watch.memory.peak,
        }
        build_record(self.folder, {**self.facts, **self.watch.facts})

    def _key_that_held(self) -> dict[str, str] | None:
        """Return the key for the record; None if the source did not stay what the key says.

        The kernel imports one module after another, so nobody knows which source it took.
        """
        ran = nbformat.read(self.folder / "notebook.ipynb", as_version=4)
        with _PARSING:
            found = {"cells": cells_part(ran), "source": source_part(ran, self.config)}
        if found.items() <= self.key.parts.items():
            return self.key.to_json()
        print(
            f"redistill: {self.folder.name}: the library source changed while the run was under "
            "way; its record has no key, so a batch will repeat it",
            file=sys.stderr,
        )
        return None

    def _tidy(self) -> None:
        with contextlib.suppress(OSError):
            (self.folder / _BALLAST).unlink(missing_ok=True)
            (self.folder / "scratch").rmdir()  # only if it is empty

    def _fail(self, ending: Ending) -> None:
        """Write how the run ended; a full disk gets the ballast's room for it."""
        self._tidy()
        try:
            write_status(self.folder, self.status.after(ending))
        except OSError as error:
            about = f"{self.folder}: the status could not be written ({error})"
            print(f"{about}; the run ended as {ending.state}: {ending.cause}", file=sys.stderr)
