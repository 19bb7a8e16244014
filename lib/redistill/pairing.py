"""Contrasts, a number for each independent run, read from the rows of records.

A run is one (data seed, training seed) on one data set, world and setting; its folds are
averaged first, since folds share training clips and are not independent (spec claims).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean
from typing import Any

from redistill.files import sha256_json

# What may differ between runs that are compared or pooled: chance, where the work was done, and
# what was tried beside: passes, networks, methods and series of their own, which change no number
# of the others.
_CHANCE, _PLACE = (
    ("seed", "data_seed", "fold", "folds"),
    ("data_root", "look_at", "threads", "workers", "device"),
)
NOT_SETTING = (*_CHANCE, *_PLACE, "released", "team", "also", "sweeps")
ENDPOINT = "accuracy"  # name of the rows that are compared, unless a claim names another
POOLED = "pooled"  # fold name of a row over the predictions of all folds together


@dataclass(frozen=True)
class Contrast:
    """Keys of the rows compared: ``test`` against the best of ``control``, or against a number."""

    test: Mapping[str, Any]
    control: tuple[Mapping[str, Any], ...] = ()
    against: float = 0.0  # stands for the control where there is none
    endpoint: str = ENDPOINT  # name of the rows
    margin: float | None = None  # if it is not the claim's

    @property
    def name(self) -> str:
        """What it compares, in words."""
        arms = [" ".join(map(str, arm.values())) for arm in (self.test, *self.control)]
        test = arms[0] if self.endpoint == ENDPOINT else f"{self.endpoint} {arms[0]}".strip()
        return f"{test or 'the value'} against {' or '.join(arms[1:]) or f'{self.against:g}'}"


@dataclass(frozen=True)
class Pair:
    """Test and control in one independent run."""

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
    """All pairs of a contrast that may be pooled: one data set, one world, one setting."""

    dataset: str = ""
    world: str = ""
    profile: str = ""
    setting: str = ""  # digest of every parameter that may not differ
    pairs: tuple[Pair, ...] = ()
    name: str = ""  # of the contrast, if it is one of several
    margin: float | None = None  # of the contrast, if it has its own
    overlap: float = 0.0  # clips tested over clips trained on, where runs are of different folds

    @property
    def differences(self) -> list[float]:
        """Test minus control in each independent run."""
        return [pair.difference for pair in self.pairs]

    @property
    def judged(self) -> list[float]:
        """The differences as tests for independent runs may take them.

        Runs of different folds share training clips.  Their differences are spread about the mean
        until the t interval is the corrected resampled one (`stats.corrected_interval`).
        """
        mean, n = fmean(self.differences), len(self.pairs)
        spread = sqrt(1 + n * self.overlap)
        return [mean + spread * (x - mean) for x in self.differences]


Record = Mapping[str, Any]  # the content of a record.json
_Where = tuple[str, str, str, str]
_Place = tuple[int, int, str]  # contrast, arm in it (0 is the test), split
_Cell = dict[_Place, tuple[float, str]]  # -> value, run
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
    records: Iterable[Record], contrasts: Sequence[Contrast], *, points: bool = True
) -> tuple[tuple[Comparison, ...], ...]:
    """Pair the values that match each contrast's test with those that match its control.

    Several controls of one contrast mean the best of them, chosen on the rows of split "val" of
    the same fold.  Rows of split "test" are compared, or rows without a split.  Only folds that
    hold all rows of all contrasts count.  Records that are not valid give nothing.

    Args:
        records: contents of record.json files, each with its "run".
        contrasts: what to compare, one or more.
        points: fractions become points (x 100).

    Returns:
        For each data set, world and setting: a comparison for each contrast, of the same runs.
    """
    table: _Table = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for record in records:
        for (where, seeds, fold, place), value in _values(record, contrasts, points):
            table[where][seeds][fold][place] = (value, record.get("run", ""))
    found = (
        [
            Comparison(*where, pairs, one.name if len(contrasts) > 1 else "", one.margin, overlap)
            for overlap in [_overlap(table[where], contrasts)]
            for one, pairs in zip(contrasts, _pairs(table[where], contrasts), strict=True)
        ]
        for where in sorted(table)
    )
    return tuple(tuple(group) for group in found if group[0].pairs)


def agreement(group: Sequence[Comparison], sign: int) -> Comparison:
    """One number a run: 1.0 if every contrast has the sign claimed there, else 0.0."""
    pairs = []
    for run in zip(*(found.pairs for found in group), strict=True):
        agree = float(all(sign * pair.difference > 0 for pair in run))
        names = tuple(dict.fromkeys(name for pair in run for name in pair.runs))
        pairs.append(Pair(run[0].data_seed, run[0].seed, agree, 0.0, run[0].folds, names))
    return replace(group[0], name="", pairs=tuple(pairs))


def _values(
    record: Record, contrasts: Sequence[Contrast], points: bool
) -> list[tuple[tuple[_Where, tuple[str, str], str, _Place], float]]:
    """Return the values of one record, each with its place; none where its rows disagree."""
    found: dict[Any, set[float]] = defaultdict(set)
    endpoints = {one.endpoint for one in contrasts}
    if why_invalid(record):
        return []
    setting = sha256_json({k: v for k, v in record["parameters"].items() if k not in NOT_SETTING})
    for row in record["rows"]:
        if row["name"] not in endpoints or type(row["value"]) not in (int, float):
            continue
        where, seeds = _place(record, row["keys"], setting)
        fold, split = str(row["keys"].get("fold", "")), str(row["keys"].get("split", "test"))
        value = row["value"] * (100 if points and row["unit"] == "fraction" else 1)
        for index, one in enumerate(contrasts):
            for arm, keys in enumerate((one.test, *one.control)):
                if row["name"] == one.endpoint and keys.items() <= row["keys"].items():
                    found[where, seeds, fold, (index, arm, split)].add(value)
    # keys too few to tell rows apart must not let the order of rows decide
    return [(place, *values) for place, values in found.items() if len(values) == 1]


def _place(
    record: Record, keys: Mapping[str, str | int], setting: str
) -> tuple[_Where, tuple[str, str]]:
    """Where a row belongs: data set, world, profile and setting; data seed and training seed."""
    parameters = record["parameters"]
    names = ("dataset", "world", "profile", "data_seed", "seed")
    told = (keys.get(name, parameters.get(name)) for name in names)
    dataset, world, profile, data_seed, seed = ("" if v is None else str(v) for v in told)
    world = world if dataset == "synthetic" else ""
    profile = record.get("profile") or profile
    return (dataset, world, profile, setting[:8]), (data_seed, seed)


def _pairs(
    runs: Mapping[tuple[str, str], _Folds], contrasts: Sequence[Contrast]
) -> tuple[tuple[Pair, ...], ...]:
    """Return a column of pairs for each contrast, all of the same runs."""
    columns: tuple[list[Pair], ...] = tuple([] for _ in contrasts)
    for seeds, folds in sorted(runs.items(), key=lambda item: _natural(item[0])):
        used = {POOLED: folds[POOLED]} if POOLED in folds else folds
        ready = [both for cell in used.values() if (both := _complete(cell, contrasts))]
        for index, column in enumerate(columns if ready else ()):
            test, control = zip(*(both[index] for both in ready), strict=True)
            names = dict.fromkeys(run for _, run in test + control if run)
            means = (fmean(value for value, _ in side) for side in (test, control))
            column.append(Pair(*seeds, *means, len(ready), tuple(names)))
    return tuple(tuple(column) for column in columns)


def _overlap(runs: Mapping[tuple[str, str], _Folds], contrasts: Sequence[Contrast]) -> float:
    """Return 0 if all runs are of the same folds, else what one fold of those seen is to the rest.

    If the data set has more folds than were seen, this is more than it should be: to be safe.
    """
    sets = {
        frozenset(name for name, cell in folds.items() if _complete(cell, contrasts))
        for folds in runs.values()
    } - {frozenset()}
    seen = frozenset().union(*sets)
    return 1 / (len(seen) - 1) if len(sets) > 1 and POOLED not in seen else 0.0


def _complete(cell: _Cell, contrasts: Sequence[Contrast]) -> list[tuple[Any, Any]]:
    """Return test and control of each contrast in one fold; nothing if any of them lacks rows."""
    found = []
    for index, one in enumerate(contrasts):
        arms = range(1, len(one.control) + 1)
        splits = ("test",) if len(arms) == 1 else ("test", "val")
        wanted = {(index, 0, "test")} | {(index, arm, split) for arm in arms for split in splits}
        if not wanted <= cell.keys():
            return []
        best = max(arms, key=lambda arm: cell.get((index, arm, "val"), (0,))[0], default=0)
        control = cell[index, best, "test"] if best else (one.against, "")
        found.append((cell[index, 0, "test"], control))
    return found


def _natural(names: tuple[str, str]) -> tuple[Any, ...]:
    return tuple((0, int(x), "") if x.lstrip("-").isdigit() else (1, 0, x) for x in names)
