"""Paired differences, one per independent run, read from the rows of records.

A run is one (data seed, training seed) on one data set, world and setting; its folds are
averaged first, since folds share training clips and are not independent (spec claims).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from redistill.files import sha256_json

# What may differ between runs that are compared or pooled: chance, and where the work was done.
NOT_SETTING = ("seed", "data_seed", "fold", "folds", "data_root", "threads", "workers", "device")
ENDPOINT = "accuracy"  # name of the rows that are compared
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

    dataset: str = ""
    world: str = ""
    profile: str = ""
    setting: str = ""  # digest of every parameter that may not differ
    pairs: tuple[Pair, ...] = ()

    @property
    def differences(self) -> list[float]:
        """Test minus control in each independent run."""
        return [pair.difference for pair in self.pairs]


Record = Mapping[str, Any]  # the content of a record.json
_Where = tuple[str, str, str, str]
_Cell = dict[tuple[int, str], tuple[float, str]]  # (arm index, split) -> (points, run)
_Folds = dict[str, _Cell]
_Table = dict[_Where, dict[tuple[str, str], _Folds]]  # seeds (of data, of training) -> folds


def why_invalid(record: Record) -> str | None:
    """Say why a record may not be counted; None if it may."""
    if record.get("status") != "completed":
        return f"its status is {record.get('status')!r}, not 'completed'"
    if not isinstance(record.get("rows"), list):
        return "it has no list of rows"
    if not isinstance(record.get("parameters"), Mapping):
        return "it has no parameters"
    return None


def comparisons(
    records: Iterable[Record], *, test: Mapping[str, Any], control: Sequence[Mapping[str, Any]]
) -> tuple[Comparison, ...]:
    """Pair the accuracies that match ``test`` with those that match ``control``.

    Several controls mean the best of them, chosen on the rows of split "val" of the same fold.
    Rows of split "test" are compared.  Records that are not valid give nothing.
    """
    table: _Table = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for record in records:
        for row in record["rows"] if why_invalid(record) is None else ():
            if row["name"] != ENDPOINT or type(row["value"]) not in (int, float):
                continue
            where, seeds = _place(record, row["keys"])
            fold, split = str(row["keys"].get("fold", "")), str(row["keys"].get("split", "test"))
            points = row["value"] * (100 if row["unit"] == "fraction" else 1)
            for index, arm in enumerate((test, *control)):
                if arm.items() <= row["keys"].items():
                    table[where][seeds][fold][index, split] = (points, record.get("run", ""))
    found = (Comparison(*where, _pairs(table[where], len(control))) for where in sorted(table))
    return tuple(one for one in found if one.pairs)


def _place(record: Record, keys: Mapping[str, str | int]) -> tuple[_Where, tuple[str, str]]:
    """Where a row belongs: data set, world, profile and setting; data seed and training seed."""
    parameters = record["parameters"]
    known = {k: str(v) for k, v in (parameters | keys).items() if v is not None}
    dataset, data_seed, seed = (known.get(k, "") for k in ("dataset", "data_seed", "seed"))
    world = known.get("world", "") if dataset == "synthetic" else ""
    profile = record.get("profile") or known.get("profile", "")
    setting = sha256_json({k: v for k, v in parameters.items() if k not in NOT_SETTING})
    return (dataset, world, profile, setting[:8]), (data_seed, seed)


def _pairs(runs: Mapping[tuple[str, str], _Folds], controls: int) -> tuple[Pair, ...]:
    pairs = []
    for seeds, folds in sorted(runs.items(), key=lambda item: _natural(item[0])):
        used = {POOLED: folds[POOLED]} if POOLED in folds else folds
        ready = [(cell, best) for cell in used.values() if (best := _best(cell, controls))]
        if ready:
            test, test_runs = zip(*(cell[0, "test"] for cell, _ in ready), strict=True)
            control, control_runs = zip(*(cell[best, "test"] for cell, best in ready), strict=True)
            names = tuple(dict.fromkeys(run for run in test_runs + control_runs if run))
            pairs.append(Pair(*seeds, fmean(test), fmean(control), len(ready), names))
    return tuple(pairs)


def _best(cell: _Cell, controls: int) -> int:
    """Index of the control to compare with in this fold; 0 if the fold is not complete."""
    names = range(1, controls + 1)
    splits = ("test",) if controls == 1 else ("test", "val")
    wanted = {(0, "test")} | {(name, split) for name in names for split in splits}
    if not wanted <= cell.keys():
        return 0
    return 1 if controls == 1 else max(names, key=lambda name: cell[name, "val"][0])


def _natural(names: tuple[str, str]) -> tuple[Any, ...]:
    return tuple((0, int(x), "") if x.lstrip("-").isdigit() else (1, 0, x) for x in names)
