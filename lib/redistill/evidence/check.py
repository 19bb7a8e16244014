"""All checks of a bundle that need no computing: container, runs, verdicts, and the suite."""

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from redistill.claims import load_claims
from redistill.errors import RedistillError
from redistill.evidence.checks import CHECKS, HeldRun, check_is_record, outcome
from redistill.evidence.finding import NOTE, OK, UNKNOWN, WRONG, Finding, Unknown, summed_up
from redistill.evidence.layout import CLAIMS, DATA, VERDICTS
from redistill.evidence.opened import Opened, check_container
from redistill.evidence.pack import suite
from redistill.evidence.verdicts import claims_in, judged
from redistill.files import sha256_json

_EQUAL = 1e-6  # relative; a p value from another scipy may end in other digits


def check_bundle(opened: Opened) -> Iterator[Finding]:
    """Check everything; a bundle whose files may not be read is told and left at that."""
    yield from check_container(opened)
    if not opened.safe:
        yield Finding(UNKNOWN, "content", "its files are not read, since their sizes are wrong")
        return
    runs = [HeldRun(opened, name) for name in sorted(opened.manifest["runs"])]
    yield from _check_owners(opened, runs)
    yield from _check_runs(runs)
    records = records_in(runs)
    yield from _check_data(opened, records)
    yield from _check_verdicts(opened, records)
    yield from _compare_suites(opened)


def records_in(runs: Sequence[HeldRun]) -> dict[str, dict[str, Any]]:
    """Return the valid records of the runs that count, by run."""
    return {
        run.name: run.record | {"run": run.name}
        for run in runs
        if run.counted and outcome(check_is_record, run) is None
    }


def _check_owners(opened: Opened, runs: Sequence[HeldRun]) -> Iterator[Finding]:
    """Every folder of a run is a run that the manifest names, and the other way round."""
    there = {name.split("/")[1] for name in opened.sizes if name.startswith("runs/")}
    off = sorted(there ^ {run.name for run in runs})
    yield Finding(WRONG if off else OK, "runs are as listed", ", ".join(off[:10]))


def _check_runs(runs: Sequence[HeldRun]) -> Iterator[Finding]:
    yield from summed_up("records", [(run.name, outcome(check_is_record, run)) for run in runs])
    for run in runs:
        if not run.counted:
            yield Finding(NOTE, f"{run.name} is not counted", f"its state is {run.state}")
    counted = [run for run in runs if run.counted]
    for what, check in CHECKS:
        yield from summed_up(what, [(run.name, outcome(check, run)) for run in counted])


def _check_data(opened: Opened, records: Mapping[str, Any]) -> Iterator[Finding]:
    told = {name: record["data"] for name, record in records.items()}
    try:
        right = sha256_json(opened.json(DATA)) == sha256_json(told)
    except Unknown as error:
        yield Finding(UNKNOWN, "data manifests", str(error))
        return
    why = "" if right else f"{DATA} does not hold what the records say"
    yield Finding(OK if right else WRONG, "data manifests", why)


def _check_verdicts(opened: Opened, records: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge the records by the claims of the bundle; then say what the claims here would change."""
    what = "verdicts follow from the records"
    try:
        text, packed = opened.text(CLAIMS), opened.json(VERDICTS)
        own = judged(claims_in(text), records.values())
    except (RedistillError, Unknown) as error:
        yield Finding(UNKNOWN, what, str(error))
        return
    except Exception as error:  # records and claims may hold anything
        why = f"no verdict can be computed ({type(error).__name__}: {error})"
        yield Finding(WRONG, what, why)
        return
    lines = _differences(packed, own)
    yield from (Finding(WRONG, what, line) for line in lines)
    if not lines:
        yield Finding(OK, what, f"{len(own)} claims, {len(records)} runs")
    if text != files("redistill").joinpath(CLAIMS).read_text(encoding="utf-8"):
        yield from _compare_claims(own, records)


def _compare_claims(own: Mapping[str, Any], records: Mapping[str, Any]) -> Iterator[Finding]:
    yield Finding(NOTE, f"{CLAIMS} is not that of this suite")
    here = judged(load_claims(), records.values())
    for name in sorted(own.keys() | here.keys()):
        was, now = (side.get(name, {}).get("state", "no such claim") for side in (own, here))
        if was != now:
            yield Finding(NOTE, name, f"{was} by the bundle's claims, {now} by this suite's")


def _differences(packed: Any, own: Mapping[str, Any]) -> list[str]:
    if not isinstance(packed, dict):
        return [f"{VERDICTS} holds no verdicts"]
    lines = []
    for name in sorted(packed.keys() | own.keys()):
        if not _close(packed.get(name), own.get(name)):
            says, gives = (_state(side.get(name)) for side in (packed, own))
            detail = "" if says != gives else " with other numbers or runs"
            lines.append(f"{name}: the bundle says {says}, its records give {gives}{detail}")
    return lines


def _state(entry: Any) -> str:
    return str(entry.get("state")) if isinstance(entry, dict) else "nothing"


def _close(one: Any, other: Any) -> bool:
    """Whether two pieces of JSON are equal, decimal numbers but for their last digits."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_EQUAL, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    return type(one) is type(other) and one == other


def _compare_suites(opened: Opened) -> Iterator[Finding]:
    """Note where the suite here is not the one that made the bundle."""
    packed, here = opened.manifest["suite"], suite()
    for name in ("version", "library_hash", "python"):
        if packed.get(name) != here[name]:
            yield Finding(NOTE, f"{name} of the suite", f"{packed.get(name)}, here {here[name]}")
    known = packed.get("versions")
    for name, version in sorted(here["versions"].items()):
        was = known.get(name) if isinstance(known, dict) else None
        if was != version:
            yield Finding(NOTE, f"version of {name}", f"{was}, here {version}")
