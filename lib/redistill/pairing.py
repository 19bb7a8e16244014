"""Paired differences, one per independent run, read from the rows of records.

A run is one (data seed, training seed) on one data set, world and setting; its folds are
averaged first, since folds share training clips and are not independent (spec claims).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redistill.files import sha256_json

# What may differ between runs that are compared or pooled: chance, and where the work was done.
NOT_SETTING = frozenset(
    ("seed", "data_seed", "fold", "folds", "data_root", "threads", "workers", "device")
)
POOLED = "pooled"  # fold name of a row over the predictions of all folds together


@dataclass(frozen=True)
class Pair:
    """Test minus control in one independent run, in points if the rows are fractions."""

    data_seed: str
    seed: str
    test: float
    control: float
    folds: int
    runs: tuple[str, ...]  # identifiers of the run folders behind it

    @property
    def difference(self) -> float:
        """Test minus control."""
        return self.test - self.control


@dataclass(frozen=True)
class Comparison:
    """All pairs that may be pooled: one data set, one world, one setting."""

    dataset: str
    world: str
    profile: str
    setting: str  # digest of every parameter that may not differ
    pairs: tuple[Pair, ...]


_Where = tuple[str, str, str, str]
_Cell = dict[tuple[int, str], tuple[float, str]]  # (arm index, split) -> (value, run)
_Table = dict[_Where, dict[tuple[str, str], dict[str, _Cell]]]


def why_invalid(record: Mapping[str, Any]) -> str | None:
    """Say why a record may not be counted; None if it may."""
    if record.get("status") != "completed":
        return f"its status is {record.get('status')!r}, not 'completed'"
    if not isinstance(record.get("rows"), list):
        return "it has no list of rows"
    if not isinstance(record.get("parameters"), Mapping):
        return "it has no parameters"
    return None


def comparisons(
    records: Iterable[Mapping[str, Any]],
    *,
    test: Mapping[str, Any],
    control: Sequence[Mapping[str, Any]],
    endpoint: str = "accuracy",
) -> tuple[Comparison, ...]:
    """Pair the rows named ``endpoint`` that match ``test`` with those that match ``control``.

    Several controls mean the best of them, chosen on the rows of split "val" of the same fold.
    Rows of split "test" are compared.  Records that are not valid give nothing.
    """
    arms = (test, *control)
    table: _Table = {}
    for record in records:
        if why_invalid(record) is None:
            for row in record["rows"]:
                if row.get("name") == endpoint:
                    _place(table, record, row, arms)
    found = (
        Comparison(*where, pairs)
        for where, runs in sorted(table.items())
        if (pairs := _pairs(runs, len(control)))
    )
    return tuple(found)


def _place(
    table: _Table,
    record: Mapping[str, Any],
    row: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]],
) -> None:
    parameters, keys = record["parameters"], row.get("keys") or {}
    value = row.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return

    def read(name: str) -> str:
        given = keys.get(name, parameters.get(name))
        return "" if given is None else str(given)

    profile = str(record.get("profile") or read("profile"))
    setting = sha256_json({k: v for k, v in parameters.items() if k not in NOT_SETTING})
    world = read("world") if read("dataset") == "synthetic" else ""
    where = (read("dataset"), world, profile, setting[:8])
    folds = table.setdefault(where, {}).setdefault((read("data_seed"), read("seed")), {})
    cell = folds.setdefault(str(keys.get("fold", "")), {})
    points = value * 100 if row.get("unit") == "fraction" else float(value)
    for index, arm in enumerate(arms):
        if all(keys.get(name) == wanted for name, wanted in arm.items()):
            cell[index, str(keys.get("split", "test"))] = (points, str(record.get("run", "")))


def _pairs(runs: Mapping[tuple[str, str], Mapping[str, _Cell]], controls: int) -> tuple[Pair, ...]:
    pairs = []
    for (data_seed, seed), folds in sorted(runs.items(), key=lambda item: _natural(item[0])):
        used = {POOLED: folds[POOLED]} if POOLED in folds else folds
        ready = [(cell, best) for cell in used.values() if (best := _best(cell, controls))]
        if ready:
            test = [cell[0, "test"] for cell, _ in ready]
            control = [cell[best, "test"] for cell, best in ready]
            names = tuple(dict.fromkeys(run for _, run in test + control if run))
            pair = Pair(data_seed, seed, _mean(test), _mean(control), len(ready), names)
            pairs.append(pair)
    return tuple(pairs)


def _best(cell: _Cell, controls: int) -> int:
    """Index of the control to compare with in this fold; 0 if the fold is not complete."""
    names = range(1, controls + 1)
    if (0, "test") not in cell or any((name, "test") not in cell for name in names):
        return 0
    if controls == 1:
        return 1
    if any((name, "val") not in cell for name in names):
        return 0
    return max(names, key=lambda name: cell[name, "val"][0])


def _mean(values: Sequence[tuple[float, str]]) -> float:
    return sum(value for value, _ in values) / len(values)


def _natural(names: tuple[str, str]) -> tuple[Any, ...]:
    return tuple((0, int(x), "") if x.lstrip("-").isdigit() else (1, 0, x) for x in names)
