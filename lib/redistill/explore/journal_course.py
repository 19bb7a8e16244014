"""How a run's learning goes, as its files tell it: the phase under way, rows, learning curves."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from redistill.errors import RedistillError
from redistill.explore.journal_table import Line
from redistill.explore.run_pair import label_of, series
from redistill.files import read_json
from redistill.rows import Row, rows_in

_STEPS = ("epoch", "step")  # keys of rows that make a curve
_SAID = {"loss": "training loss", "val": "validation accuracy"}


@dataclass(frozen=True)
class Curve:
    """Points so far: x to y, ascending; what x is, and how far it goes (None: unknown)."""

    axis: str
    points: Mapping[int, float]
    last: int | None = None


@dataclass(frozen=True)
class Course:
    """What is known of the learning of a run.

    Attributes:
        phases: a sentence for each phase of training under way.
        curves: by label; those of phases under way first, then of rows, then of the run's figures.
        rows: how many results it has recorded.
        figures: how many it has drawn.
    """

    phases: tuple[str, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    rows: int = 0
    figures: int = 0


def course(line: Line | None) -> Course:
    """Return what the files of a run say of its learning; nothing if it has no folder."""
    if line is None or line.folder is None:
        return Course()
    phases, curves = [], {}
    for folder in phase_folders(line.pid) if line.pid else ():
        said, found = _phase(folder)
        phases.append(said)
        curves |= found
    rows: Sequence[Row] = ()
    with suppress(RedistillError, OSError):  # what is torn now may be whole in a second
        rows = rows_in(line.folder, torn=True)
    curves |= {key: value for key, value in _of_rows(rows).items() if key not in curves}
    curves |= _of_figures(line.folder / "figures" / "learning.csv")
    pictures = len(list((line.folder / "figures").glob("*.png")))
    return Course(tuple(phases), curves, len(rows), pictures)


def phase_folders(pid: int) -> list[Path]:
    """Return the folders of the phases that a process or its descendants have under way.

    Training holds the file ``lock`` of its phase open from beginning to end, which the system
    tells of any process of the same user.
    """
    found = set()
    with suppress(psutil.Error):
        runner = psutil.Process(pid)
        for process in (runner, *runner.children(recursive=True)):
            with suppress(psutil.Error, OSError):
                paths = (Path(each.path) for each in process.open_files())
                found |= {p.parent for p in paths if p.name == "lock" and p.parts[-3] == "phases"}
    return sorted(found)


def _phase(folder: Path) -> tuple[str, dict[str, Curve]]:
    """Return a sentence on a phase under way, and its curves."""
    name = folder.name.rpartition("-")[0]
    try:
        known = read_json(folder / "journal.json")
        last, journal = int(known["epochs"]), list(known["journal"])
        curves = dict(_of_journal(f"phase {name}", journal, last))
        line = journal[-1]
        said = f"phase {name}: epoch {line['epoch']} of {last} is done, loss {line['loss']:.4g}"
    except (RedistillError, KeyError, TypeError, ValueError, IndexError):
        return f"phase {name}: its first epoch", {}
    return said, curves


def _of_journal(
    label: str, journal: Sequence[Mapping[str, Any]], last: int
) -> Iterator[tuple[str, Curve]]:
    """Yield the curves of a phase's journal; of several networks' accuracies the mean."""
    for column, said in _SAID.items():
        points = {int(e["epoch"]): _mean(e[column]) for e in journal if column in e}
        if points:
            yield f"{label}, {said}", Curve("epoch", points, last)


def _mean(value: float | Sequence[float]) -> float:
    values = value if isinstance(value, list) else [value]
    return sum(map(float, values)) / len(values)


def _of_rows(rows: Sequence[Row]) -> dict[str, Curve]:
    """Return a curve for each kind of rows that are numbers by epoch or step."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        axis = next((key for key in _STEPS if type(row.keys.get(key)) is int), None)
        if axis and type(row.value) in (int, float):
            rest = {key: value for key, value in row.keys.items() if key != axis}
            label = f"{row.name}, {label_of(rest)}" if rest else row.name
            found.setdefault((label, axis), {})[row.keys[axis]] = float(row.value)
    return {label: Curve(axis, dict(sorted(p.items()))) for (label, axis), p in found.items()}


def _of_figures(path: Path) -> dict[str, Curve]:
    """Return the learning curves that a run has drawn; none if there is no such table."""
    try:
        table = pd.read_csv(path)
        found = series(table) if "epoch" in table else {}
    except (OSError, ValueError):
        return {}
    return {label: Curve("epoch", points) for label, points in found.items() if points}
