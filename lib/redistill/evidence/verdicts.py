"""Verdicts of the ledger as a file: all that can be computed again from the records."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from redistill.claims import Claim, Verdict, ledger, overall
from redistill.errors import ConfigError


def claims_in(text: str) -> tuple[Claim, ...]:
    """Return the claims that a claims.toml spells.

    Raises:
        ConfigError: it is none that this suite can read.
    """
    try:
        entries = tomllib.loads(text)["claim"]
        return tuple(
            Claim(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
            for entry in entries
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"these claims are not as this suite reads them: {error}") from error


def judged(claims: Sequence[Claim], records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return, as JSON, each claim's state and its verdicts from these records, and no others."""
    found = ledger(claims, records)
    return {
        name: {"state": overall(verdicts), "verdicts": list(map(_entry, verdicts))}
        for name, verdicts in found.items()
    }


def runs_behind(
    names: Iterable[str], claims: Sequence[Claim], records: Iterable[Mapping[str, Any]]
) -> set[str]:
    """Return the runs that the verdicts on these claims, and on those that decide them, rest on."""
    decided_by = {claim.id: claim.decided_by for claim in claims}
    found, todo, seen = ledger(claims, records), list(names), set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += decided_by[name]
    return {run for name in seen for one in found[name] for pair in one.pairs for run in pair.runs}


def _entry(one: Verdict) -> dict[str, Any]:
    entry = {key: getattr(one, key) for key in ("dataset", "world", "profile", "setting", "name")}
    found = one.interval
    return entry | {
        "state": one.state,
        "runs": sorted({run for pair in one.pairs for run in pair.runs}),
        "pairs": len(one.pairs),
        "mean": fmean(one.differences) if one.pairs else None,
        "interval": [found.low, found.high] if found else None,
        "p": one.p,
        "p_holm": one.p_holm,
        "runs_needed": one.runs_needed,
    }
