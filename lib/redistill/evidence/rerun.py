"""Repeating a sample of a bundle's runs, with this suite's own notebooks, and comparing rows."""

import contextlib
import math
import os
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redistill.compare import compare_rows
from redistill.config import as_json, config_hash, resolve
from redistill.configs import config_name, load_config
from redistill.errors import ConfigError, RedistillError, RunError
from redistill.evidence.finding import NOTE, OK, UNKNOWN, WRONG, Finding, Unknown, summed_up
from redistill.files import cache_root
from redistill.running.environment import environment, library_hash
from redistill.running.notebook import notebook_hash, read_metadata, read_notebook
from redistill.running.run_record import read_record
from redistill.running.runner import run_notebook
from redistill.running.status import RunStopped

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
_SHOWN = 20  # differences told of one run
_WHAT = "repeated"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """How many runs to repeat: a number, or a share of those that can be."""

    number: int = 0
    share: float = 0.0

    def of(self, there: int) -> int:
        """Return how many of the runs ``there``; a share is at least one run."""
        return min(there, self.number or max(1, math.ceil(self.share * there)))


def read_sample(text: str) -> Sample:
    """Return what "3" or "5%" spells.

    Raises:
        ConfigError: it spells neither.
    """
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 < share <= 1:
                return Sample(share=share)
        elif int(text) > 0:
            return Sample(number=int(text))
    except ValueError:
        pass
    raise ConfigError(f"--rerun {text!r}: expected a number of runs, as 3, or a share, as 5%")


def repeat(
    records: Mapping[str, Record], sample: Sample, *, seed: int, into: Path, notebooks: Path
) -> Iterator[Finding]:
    """Repeat a sample of runs and compare their rows within tolerance, a finding for each.

    No notebook of the bundle is executed: runs of this suite's notebooks are repeated from the
    notebooks here, with the parameters recorded, and all others are told.

    Args:
        records: valid ones, by run.
        sample: how many.
        seed: of the draw.
        into: folder that gets the new runs.
        notebooks: folder of this suite's notebooks.

    Raises:
        RunStopped: a signal asked to stop.
    """
    ours = _by_hash(notebooks)
    ready: dict[str, tuple[Path, Any]] = {}
    refused: list[tuple[str, Exception]] = []
    for name, record in sorted(records.items()):
        try:
            ready[name] = _prepare(record, ours)
        except Unknown as error:
            refused.append((name, error))
    yield from summed_up(_WHAT, refused)
    drawn = random.Random(seed).sample(sorted(ready), sample.of(len(ready)))
    yield Finding(NOTE, f"{len(drawn)} of {len(ready)} runs are repeated", ", ".join(drawn))
    with _empty_cache():
        for name in drawn:
            yield from _repeat(name, records[name], *ready[name], into)


def _by_hash(folder: Path) -> dict[str, Path]:
    """Return the notebooks in a folder by the hash of their cells."""
    if not folder.is_dir():
        raise RunError(f"no folder of notebooks {folder}; name it with --notebooks")
    return {notebook_hash(read_notebook(path)): path for path in sorted(folder.glob("*.ipynb"))}


def _prepare(record: Record, ours: Mapping[str, Path]) -> tuple[Path, Any]:
    """Return notebook and config of a run; `Unknown` says why it is not repeated."""
    if record["notebook_hash"] not in ours:
        raise Unknown("not repeated: its notebook is not one of this suite")
    path = ours[record["notebook_hash"]]
    try:
        config = resolve(load_config(config_name(read_metadata(path))), record["parameters"])
    except ConfigError as error:
        raise Unknown(f"not repeated: this suite does not take its parameters: {error}") from error
    if config_hash(config) != record["config_hash"]:
        raise Unknown("not repeated: this suite has other parameters")
    root = record["parameters"].get("data_root")
    there = isinstance(root, str) and Path(root).expanduser().is_dir()
    if record["parameters"].get("dataset", "synthetic") != "synthetic" and not there:
        raise Unknown(f"not repeated: its data are not at hand (data_root {root})")
    return path, config


def _repeat(name: str, record: Record, path: Path, config: Any, into: Path) -> Iterator[Finding]:
    parameters = {key: getattr(config, key) for key in as_json(config)}
    yield from _notes(name, record)
    try:
        fresh = read_record(run_notebook(path, parameters=parameters, reports=into, run_id=name))
    except RunStopped as error:
        if error.ending.state == "interrupted":
            raise
        state = WRONG if error.ending.state == "failed" else UNKNOWN
        yield Finding(state, _WHAT, f"{name}: the repetition did not complete: {error}")
        return
    except RedistillError as error:
        yield Finding(UNKNOWN, _WHAT, f"{name}: not repeated: {error}")
        return
    if fresh["device"] != record["device"]:
        where = f"{record['device']}, here on {fresh['device']}"
        yield Finding(NOTE, f"{name} was computed on {where}")
    off = _differences(record, fresh)
    yield from (Finding(WRONG, _WHAT, f"{name}: {line}") for line in off[:_SHOWN])
    if len(off) > _SHOWN:
        yield Finding(WRONG, _WHAT, f"{name}: {len(off) - _SHOWN} further differences")
    if not off:
        about = f"{len(fresh['rows'])} rows within their tolerances, {fresh['seconds']:.0f} s"
        yield Finding(OK, _WHAT, f"{name}: {about} (recorded: {record['seconds']:.0f} s)")


def _differences(recorded: Record, fresh: Record) -> list[str]:
    was, now = (one["data"].get("manifest") for one in (recorded, fresh))
    other = [] if was == now else [f"its data were others: manifest {was}, here {now}"]
    rows = _with_own_tolerances(recorded["rows"], fresh["rows"])
    return other + compare_rows(rows, fresh["rows"])


def _with_own_tolerances(recorded: Sequence[Record], fresh: Sequence[Record]) -> list[Record]:
    """Return the recorded rows with the tolerances that the notebook here gives them.

    Else a forged record could allow itself any difference.
    """

    def identity(row: Record) -> tuple[str, list]:
        return row["name"], sorted((key, str(value)) for key, value in row["keys"].items())

    old, new = sorted(recorded, key=identity), sorted(fresh, key=identity)
    if list(map(identity, old)) != list(map(identity, new)):
        return list(recorded)  # rows are missing or added, which the comparison tells
    pairs = zip(old, new, strict=True)
    return [a | {key: b[key] for key in ("atol", "rtol", "free")} for a, b in pairs]


def _notes(name: str, record: Record) -> Iterator[Finding]:
    known = record["versions"] | {"library_hash": record["library_hash"]}
    here = environment()["versions"] | {"library_hash": library_hash()}
    off = [f"{k} {known.get(k)}, here {v}" for k, v in here.items() if known.get(k) != v]
    if off:
        yield Finding(NOTE, f"{name} was made with other versions", "; ".join(off))


@contextlib.contextmanager
def _empty_cache() -> Iterator[None]:
    """Keep the cached data but no trained network, else a repetition would find, not compute."""
    data = cache_root() / "synthetic"
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="redistill-") as cache:
        (Path(cache) / "synthetic").symlink_to(data.resolve())
        before = os.environ.get("REDISTILL_CACHE")
        os.environ["REDISTILL_CACHE"] = cache
        try:
            yield
        finally:
            del os.environ["REDISTILL_CACHE"]
            if before is not None:
                os.environ["REDISTILL_CACHE"] = before
