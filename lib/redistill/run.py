"""Running a notebook into a folder of its own, from validated parameters to a valid record."""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from redistill.config import as_json, config_hash, plain, resolve
from redistill.configs import config_name, load_config
from redistill.endings import ending_of
from redistill.environment import environment, library_hash
from redistill.files import write_atomic, write_json
from redistill.notebook import check_parameters_cell, notebook_hash, read_notebook
from redistill.progress import Progress
from redistill.run_folder import default_names, new_folder
from redistill.run_record import build_record
from redistill.status import Ending, RunStopped, Status, now, running, write_status
from redistill.stop import Stop, stop_signals
from redistill.watch import Watch

_BALLAST = ".ballast"  # given up when the disk is full, so that the status can still be told
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB")


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What will be run, all of it checked."""

    path: Path
    nb: Any
    name: str  # of the config
    config: Any
    given: Mapping[str, Any]  # as JSON


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
    plan = _plan(Path(notebook), parameters, config)
    with stop_signals() as stop:
        names = default_names(plan.path, config_hash(plan.config)) if run_id is None else [run_id]
        run = _Run(plan, new_folder(Path(reports), names), stop, progress)
        return run.execute(cell_timeout, budget)


def _plan(path: Path, parameters: Mapping[str, Any], config: type | None) -> _Plan:
    nb = read_notebook(path)
    name = config.__name__ if config else config_name(nb.metadata)
    check_parameters_cell(nb, path)
    # The kernel works in a folder of its own, so paths are meant from where the user stands.
    given = {
        key: value.expanduser().absolute() if isinstance(value, Path) else value
        for key, value in parameters.items()
        if value is not None
    }
    resolved = resolve(config or load_config(name), given)
    json_given = {key: plain(value) for key, value in given.items()}
    return _Plan(path=path, nb=nb, name=name, config=resolved, given=json_given)


class _Run:
    """One run under way: keeps its status true, and tells how it ended."""

    def __init__(self, plan: _Plan, folder: Path, stop: Stop, progress: bool) -> None:
        self.plan, self.folder, self.stop = plan, folder, stop
        self.status: Status = running()
        self.watch = Watch(Progress(shown=progress), self._beat)

    def execute(self, cell_timeout: float | None, budget: float | None) -> Path:
        """Run to a valid record, or leave the reason behind and raise RunStopped."""
        try:
            self._prepare()
            self._drive(cell_timeout, budget)
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
        return self.folder

    def _prepare(self) -> None:
        write_status(self.folder, self.status)
        (self.folder / _BALLAST).write_bytes(b"\0" * 65536)
        (self.folder / "scratch").mkdir()
        write_json(self.folder / "parameters.json", as_json(self.plan.config))
        self.environment = environment()
        write_json(self.folder / "environment.json", self.environment)
        self.library = library_hash()
        self._save(self.plan.nb)
        self.stop.check()

    def _drive(self, cell_timeout: float | None, budget: float | None) -> None:
        from papermill import execute_notebook

        # papermill formats paths with parameters; doubled braces stay braces
        source = str(self.folder / "notebook.ipynb").replace("{", "{{").replace("}", "}}")
        execute_notebook(
            source,
            None,
            parameters=dict(self.plan.given),
            engine_name="redistill",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            execution_timeout=cell_timeout,
            budget=budget,
            save=self._save,
            watch=self.watch,
            kernel_cwd=self.folder / "scratch",
            env=self._env(),
        )
        self.stop.check()

    def _env(self) -> dict[str, str]:
        env = {"REDISTILL_RUN_DIR": str(self.folder)}
        threads = getattr(self.plan.config, "threads", None)
        if threads:
            env |= {f"{name}_NUM_THREADS": str(threads) for name in _THREADS}
        return env

    def _save(self, nb: Any) -> None:
        import nbformat

        write_atomic(self.folder / "notebook.ipynb", nbformat.writes(nb))

    def _beat(self, cell: int | None, cells: int) -> None:
        self.status = replace(self.status, cell=cell, cells=cells, heartbeat=now())
        write_status(self.folder, self.status)

    def _record(self) -> None:
        made, plan = self.environment, self.plan
        machine = {k: made[k] for k in ("host", "platform", "python", "cpu", "cores", "memory")}
        ended = now()
        begun = datetime.fromisoformat(self.status.started)
        facts = {
            "run": self.folder.name,
            "notebook": plan.path.name,
            "notebook_hash": notebook_hash(plan.nb),
            "library_hash": self.library,
            "config": plan.name,
            "config_hash": config_hash(plan.config),
            "profile": plan.config.profile,
            "parameters": as_json(plan.config),
            "given": dict(plan.given),
            "git": made["git"],
            "versions": made["versions"],
            "ffmpeg": made["ffmpeg"],
            "machine": machine,
            "device": self.watch.facts.get("device"),
            "threads": self.watch.facts.get("threads"),
            "started": self.status.started,
            "ended": ended,
            "seconds": (datetime.fromisoformat(ended) - begun).total_seconds(),
            "cell_seconds": self.watch.seconds,
            "peak_memory": self.watch.memory.peak,
        }
        build_record(self.folder, facts)

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
