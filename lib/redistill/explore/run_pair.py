"""Two recorded runs beside each other: what was set, what came out, where they part.

Rows are paired as ``redistill.compare`` pairs them, and judged as it judges them; run A is the
saved one, so its tolerances count.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from redistill.compare import compare_rows
from redistill.errors import RunError
from redistill.running.run_record import FILE, read_record

STATES = ("equal", "free", "within", "beyond")  # free: differs, and may (a time, say)
ABOUT = {  # what a run was made with: the fields of a record that must all be equal
    "notebook text": ("notebook_hash",),
    "source": ("library_hash",),
    "versions": ("versions", "ffmpeg"),
    "machine": ("machine", "device", "threads"),
    "data": ("data",),
}
_GROUPS = {"loss": "training loss", "val": "validation accuracy"}  # columns of learning.csv


@dataclass(frozen=True)
class Extract:
    """What is compared of one run.

    Attributes:
        name: as the reader chooses it.
        record: of the run, as ``read_record`` returns it.
        learning: its table of learning curves; empty where the folder holds none.
    """

    name: str
    record: Mapping[str, Any] = field(repr=False)
    learning: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class RowPair:
    """A row that both runs have: name and keys in words, both values, one of ``STATES``."""

    name: str
    label: str
    keys: Mapping[str, str | int]
    unit: str
    a: Any
    b: Any
    state: str

    @property
    def gap(self) -> float:
        """How far apart the values are; texts that differ are one apart."""
        if isinstance(self.a, str) or isinstance(self.b, str):
            return float(self.a != self.b)
        return abs(float(self.a) - float(self.b))


@dataclass(frozen=True)
class Curve:
    """One curve of both runs: steps (ascending) to values, what a step is, rows behind it."""

    label: str
    axis: str
    a: Mapping[int, float]
    b: Mapping[int, float]
    states: Mapping[int, str]  # by step; empty where no tolerance is known

    @property
    def parts(self) -> int | None:
        """The first step that both have and whose values are not equal; None if they never are."""
        return next((x for x in self.a if x in self.b and self.a[x] != self.b[x]), None)


@dataclass(frozen=True)
class Pair:
    """Two runs: parameters that differ, what else they were made with, rows, curves."""

    a: str
    b: str
    notebooks: tuple[str, str]
    seconds: tuple[float, float]
    settings: int  # parameters that at least one run has
    parameters: tuple[tuple[str, Any, Any], ...]  # those that differ; "–" where a run has none
    same: Mapping[str, bool]  # each of ABOUT
    rows: tuple[RowPair, ...]  # in the order of run A
    alone: tuple[int, int]  # rows that only A, only B has
    curves: Mapping[str, Curve]

    @property
    def names(self) -> list[str]:
        """Names of rows that both have, in the order of run A."""
        return list(dict.fromkeys(row.name for row in self.rows))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows are in each of ``STATES``."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in STATES}

    def of(self, name: str | None) -> list[RowPair]:
        """Return the rows of a name, those furthest apart first, else in the order of run A."""
        return sorted((row for row in self.rows if row.name == name), key=lambda row: -row.gap)


def run_folders(runs: Path | Sequence[Path]) -> dict[str, Path]:
    """Return run folders by name: those given, or those in a folder that have a record.

    Two of one name are told apart by the folders that they are in.

    Raises:
        RunError: there is none.
    """
    if isinstance(runs, str | Path):
        paths = sorted(path.parent for path in Path(runs).glob(f"*/{FILE}"))
        paths = [path for path in paths if not path.name.startswith(".")]
    else:
        paths = [Path(path) for path in runs]
    if not paths:
        raise RunError(f"no run with a {FILE} in {runs}; name a folder of runs that completed")
    often = Counter(path.name for path in paths)
    return {p.name if often[p.name] == 1 else f"{p.parent.name}/{p.name}": p for p in paths}


def extract(name: str, folder: Path) -> Extract:
    """Read a run.

    Raises:
        RunError: its record is missing or broken, or its learning curves are no table.
    """
    record, path = read_record(folder), Path(folder) / "figures" / "learning.csv"
    try:
        learning = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    except (OSError, ValueError) as error:  # pandas' own errors of parsing are ValueErrors
        raise RunError(f"{path} cannot be read as a table: {error}") from error
    return Extract(name=name, record=record, learning=learning)


def pair(a: Extract, b: Extract) -> Pair:
    """Compare two runs."""
    one, two = a.record, b.record
    given, other = one["parameters"], two["parameters"]
    names = dict.fromkeys([*given, *other])
    values = [(name, given.get(name, "–"), other.get(name, "–")) for name in names]
    rows, alone = _paired(one["rows"], two["rows"])
    return Pair(
        a=a.name,
        b=b.name,
        notebooks=(one["notebook"], two["notebook"]),
        seconds=(one["seconds"], two["seconds"]),
        settings=len(names),
        parameters=tuple(each for each in values if each[1] != each[2]),
        same={
            what: all(one[each] == two[each] for each in fields) for what, fields in ABOUT.items()
        },
        rows=rows,
        alone=alone,
        curves={c.label: c for c in [*_first_losses(rows), *_learning(a.learning, b.learning)]},
    )


def label_of(keys: Mapping[str, str | int]) -> str:
    """Return what a row is about: texts as they are, numbers behind their name."""
    return " ".join(v if isinstance(v, str) else f"{k} {v}" for k, v in keys.items()) or "(whole)"


def _paired(
    ours: Sequence[Mapping[str, Any]], theirs: Iterable[Mapping[str, Any]]
) -> tuple[tuple[RowPair, ...], tuple[int, int]]:
    """Pair rows of one name and keys in their order; return them and how many have no partner."""
    waiting = defaultdict(list)
    for row in theirs:
        waiting[_identity(row)].append(row)
    pairs = []
    for row in ours:
        if found := waiting[_identity(row)]:
            pairs.append(_pair(row, found.pop(0)))
    return tuple(pairs), (len(ours) - len(pairs), sum(map(len, waiting.values())))


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["name"], *sorted((k, type(v).__name__, v) for k, v in row["keys"].items())


def _pair(a: Mapping[str, Any], b: Mapping[str, Any]) -> RowPair:
    if compare_rows([a], [b]):
        state = "beyond"
    elif a["value"] == b["value"]:
        state = "equal"
    else:
        state = "free" if a["free"] else "within"
    about = {key: a[key] for key in ("name", "keys", "unit")}
    return RowPair(**about, label=label_of(a["keys"]), a=a["value"], b=b["value"], state=state)


def _first_losses(rows: Iterable[RowPair]) -> list[Curve]:
    """Return the losses of the first steps, one curve for each network."""
    found: dict[str, list[RowPair]] = defaultdict(list)
    for row in rows:
        if row.name == "first_loss" and isinstance(row.keys.get("step"), int):
            rest = {key: value for key, value in row.keys.items() if key != "step"}
            found[f"first loss, {label_of(rest)}"].append(row)
    return [
        Curve(label, "step", *({r.keys["step"]: v(r) for r in ordered} for v in _VALUES))
        for label, group in found.items()
        for ordered in [sorted(group, key=lambda row: row.keys["step"])]
    ]


_VALUES = (lambda row: row.a, lambda row: row.b, lambda row: row.state)


def _learning(a: pd.DataFrame, b: pd.DataFrame) -> list[Curve]:
    """Return the learning curves that both runs have, by column and what tells them apart."""
    if "epoch" not in a or "epoch" not in b:
        return []
    one, two = series(a), series(b)
    both = [label for label in one if one[label] and two.get(label)]
    return [Curve(label, "epoch", one[label], two[label], {}) for label in both]


def series(table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Return the curves in a table with a column epoch, by column and what tells them apart."""
    texts = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    parts = table.groupby(texts, sort=False) if texts else [((), table)]
    return {
        ", ".join([_GROUPS.get(column, str(column)), *map(str, key)]): {
            int(x): float(y)
            for x, y in sorted(zip(part["epoch"], part[column], strict=True))
            if pd.notna(y)
        }
        for column in table
        if column != "epoch" and column not in texts
        for key, part in parts
    }
