"""Which runs go into a bundle: those named, or all that the index would count."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redistill.claims import load_claims
from redistill.errors import ConfigError, RunError, nearest
from redistill.evidence.verdicts import runs_behind
from redistill.files import slug
from redistill.running.status import counted_folders


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One run folder to pack; its record is empty if the run does not count."""

    name: str
    folder: Path
    state: str
    record: dict[str, Any]


def choose(
    named: Sequence[Path], reports: Path, *, everything: bool, claims: Sequence[str]
) -> tuple[list[Chosen], list[str]]:
    """Return the runs to pack, by name, and a line for each that is left out.

    Args:
        named: run folders; none means all that the index over ``reports`` finds.
        reports: a folder of run folders.
        everything: also runs that did not complete or have no valid record.
        claims: identifiers; given any, only the runs behind these claims.

    Raises:
        RunError: a run named that cannot be packed, two of one name, or nothing to pack.
        ConfigError: a claim that there is not.
    """
    folders = [_named(folder) for folder in named] or _found(reports)
    runs: dict[str, Chosen] = {}
    left: list[str] = []
    for folder in folders:
        run, why = _read(folder)
        if run.record or (everything and run.state != "running"):
            if run.name in runs:
                both = f"{runs[run.name].folder} and {folder}"
                raise RunError(f"two runs are called {run.name}: {both}; rename one, or name one")
            runs[slug(run.name)] = run
        elif named:
            hint = "wait for its end" if run.state == "running" else "--all packs it, uncounted"
            raise RunError(f"{folder} cannot be packed: {why}; {hint}")
        else:
            left.append(f"left out {folder}: {why}")
    if claims:
        names = _behind(claims, runs.values())
        runs = {name: run for name, run in runs.items() if name in names}
    if not runs:
        about = f" behind {', '.join(claims)}" if claims else ""
        raise RunError(f"no run{about} with a valid record in {reports}; nothing is packed")
    return [runs[name] for name in sorted(runs)], left


def _named(folder: Path) -> Path:
    if not folder.is_dir():
        raise RunError(f"no run folder {folder}; give a folder that `redistill run` made")
    return Path(os.path.abspath(folder))  # "." has no name, and a link keeps its own


def _found(reports: Path) -> list[Path]:
    """Return the run folders that the index finds: in ``reports`` and one level down."""
    if not reports.is_dir():
        raise RunError(f"no folder {reports}; name runs, or their folder with --reports")
    return counted_folders(reports)


def _read(folder: Path) -> tuple[Chosen, str]:
    """Return a run, and why it does not count ("" if it does), by the index's own rule."""
    from redistill.reporting.pages import load_run  # late: it brings the templates

    run = load_run(folder)
    state, record = run.status["state"], {} if run.invalid else dict(run.record)
    return Chosen(name=folder.name, folder=folder, state=state, record=record), run.invalid


def _behind(names: Sequence[str], runs: Iterable[Chosen]) -> set[str]:
    claims = load_claims()
    known = [claim.id for claim in claims]
    for name in names:
        if name not in known:
            raise ConfigError(f"no claim {name!r}.{nearest(name, known)}")
    return runs_behind(names, claims, [run.record | {"run": run.name} for run in runs])
