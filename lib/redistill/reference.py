"""What the committed reference runs say, in a line a claim: the first thing a notebook shows."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean

from redistill.claims import Claim, Verdict, ledger, load_claims
from redistill.errors import ConfigError, RunError, nearest
from redistill.running.run_record import read_record

REFERENCE = Path(__file__).resolve().parents[2] / "reports" / "reference"


def headline(*ids: str, folder: Path = REFERENCE) -> str:
    """Return the claims named and what the reference runs say of each, one below the other.

    Args:
        ids: of claims, for example "G1".
        folder: of run folders.

    Raises:
        ConfigError: an id that is in no ledger.
    """
    claims = {claim.id: claim for claim in load_claims()}
    for name in ids:
        if name not in claims:
            raise ConfigError(f"no claim {name!r}.{nearest(name, claims)}")
    judged = ledger(tuple(claims.values()), records_in(folder))
    return "\n".join(
        f"{name}  {claims[name].claim}\n    {line}"
        for name in ids
        for line in [_line(claims[name], one) for one in judged[name] if one.pairs]
        or ["no reference run yet"]
    )


def records_in(folder: Path) -> Iterator[dict]:
    """Yield the valid records of the run folders in ``folder``, each with its name as run."""
    for path in sorted(folder.glob("*/record.json")):
        with suppress(RunError):  # a report never counts a run without a valid record
            yield read_record(path.parent) | {"run": path.parent.name}


def measured(claim: Claim, verdict: Verdict) -> str:
    """Return the mean over runs and its interval: tenths of points, else three digits.

    Differences carry a sign, ratios none.
    """
    sign = "" if claim.rule == "ratio" else "+"
    form = f"{sign}.1f" if claim.unit == "points" else f"{sign}.3g"
    text = format(fmean(verdict.differences), form)
    if verdict.interval is not None:
        text += f" [{verdict.interval.low:{form}}, {verdict.interval.high:{form}}]"
    return text


def _line(claim: Claim, verdict: Verdict) -> str:
    where = f"{verdict.dataset} {verdict.world}".strip()
    shown = f"{measured(claim, verdict)} {claim.unit}"
    weakest = f"; {verdict.name} is the weakest comparison" if verdict.name else ""
    more = f"; {verdict.outlook.text}" if verdict.outlook.text else ""
    return f"{where}: {verdict.state} ({shown} in {len(verdict.pairs)} runs{weakest}{more})"
