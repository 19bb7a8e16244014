"""The ledger: what the papers claim, and the verdict our records give on each claim.

The rules are those of spec claims, "How a verdict is reached".  Everything here is a pure
function of the claims and of records (the content of record.json files).
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from inspect import signature
from typing import Any

from redistill import stats
from redistill.errors import ConfigError, nearest
from redistill.pairing import Comparison, Record, comparisons

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
INCONCLUSIVE = "inconclusive"
NOT_TESTABLE = "not testable here"
NOT_RUN = "not yet run"
STATES = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_TESTABLE, NOT_RUN)

RUNS_WANTED = 10  # fewer independent pairs give no verdict
ALPHA = 0.05
_Ruling = tuple[float, str, str]  # p, state, why
_CHOICES = {
    "paper": ("ground", "substage", "spectrum", "progressive"),
    "rule": ("superiority", "equivalence", "order", "ratio"),
    "direction": ("greater", "less"),
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One checkable claim, as claims.toml explains its fields."""

    id: str
    paper: str
    claim: str
    metric: str
    test: str
    control: str
    rule: str
    direction: str
    margin: float
    data: tuple[str, ...]
    source: str
    unit: str = "points"
    confidence: str = ""
    printed: tuple[Mapping[str, Any], ...] = ()
    decided_by: tuple[str, ...] = ()
    testable_by: tuple[str, ...] = ()
    untestable: str = ""
    rows: Mapping[str, Any] = field(default_factory=dict)  # {"test": arm, "control": [arm, ...]}


@dataclass(frozen=True, kw_only=True)
class Verdict(Comparison):
    """What the runs say about one claim on one data set, world and setting."""

    claim: str
    state: str
    why: str
    interval: stats.Interval | None = None  # of test minus control, 95 %
    p: float | None = None  # of the claim's own test, where there are runs enough
    p_holm: float | None = None  # the same after Holm's correction within the paper
    runs_needed: int | None = None  # further independent runs an inconclusive verdict would take


def load_claims() -> tuple[Claim, ...]:
    """Read the ledger that comes with the package."""
    text = files("redistill").joinpath("claims.toml").read_text(encoding="utf-8")
    claims = tuple(_claim(entry) for entry in tomllib.loads(text)["claim"])
    names = [claim.id for claim in claims]
    for claim in claims:
        if names.count(claim.id) > 1:
            raise ConfigError(f"claims.toml has {claim.id} twice; identifiers must be unique")
        for other in claim.decided_by:
            if other not in names:
                raise ConfigError(f"claim {claim.id} is decided by {other}, which is no claim")
    return claims


def verdict(claim: Claim, records: Iterable[Record]) -> tuple[Verdict, ...]:
    """Judge one claim by itself: a verdict for each data set, world and setting that was run.

    Runs of profile "quick" give none.  Holm's correction and deciding claims need the other
    claims: see `ledger`.
    """
    if not claim.rows:
        return (Verdict(claim=claim.id, state=NOT_RUN, why="no notebook tests it yet"),)
    found = comparisons(records, test=claim.rows["test"], control=claim.rows["control"])
    return tuple(_judge(claim, one) for one in found) or (
        Verdict(claim=claim.id, state=NOT_RUN, why="no run with a valid record holds its rows"),
    )


def ledger(claims: Sequence[Claim], records: Iterable[Record]) -> dict[str, tuple[Verdict, ...]]:
    """Judge all claims together, by identifier.

    Adds to `verdict`: Holm's correction over all tests of a paper that have runs enough, the
    claims that decide others, and what nobody can test with what is public.
    """
    records = list(records)
    own = {claim.id: list(verdict(claim, records)) for claim in claims}
    for paper in _CHOICES["paper"]:
        _correct([own[claim.id] for claim in claims if claim.paper == paper])
    judged = {}
    for claim in claims:
        verdicts = [_decide(claim, one, own) for one in own[claim.id]]
        if claim.untestable:
            verdicts.append(Verdict(claim=claim.id, state=NOT_TESTABLE, why=claim.untestable))
        judged[claim.id] = tuple(verdicts)
    return judged


def overall(verdicts: Sequence[Verdict]) -> str:
    """Sum up a claim over data sets: decided if all decided verdicts agree, else inconclusive."""
    states = {verdict.state for verdict in verdicts}
    decided = states & {REPRODUCED, NOT_REPRODUCED}
    if len(decided) == 1:
        return decided.pop()
    if decided or INCONCLUSIVE in states:
        return INCONCLUSIVE
    return NOT_RUN if NOT_RUN in states else NOT_TESTABLE


def _claim(entry: Mapping[str, Any]) -> Claim:
    name = entry.get("id", "?")
    known = signature(Claim).parameters
    for key in entry:
        if key not in known:
            raise ConfigError(f"claim {name}: {key!r} is no field.{nearest(key, known)}")
    for key, item in known.items():
        if key not in entry and item.default is item.empty:
            raise ConfigError(f"claim {name}: {key!r} is missing")
    for key, allowed in _CHOICES.items():
        if entry[key] not in allowed:
            raise ConfigError(f"claim {name}: {key} is {entry[key]!r}; use one of {allowed}")
    if entry.get("rows") and entry["rule"] not in ("superiority", "equivalence"):
        raise ConfigError(f"claim {name}: rows are read for superiority and equivalence only")
    return Claim(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})


def _judge(claim: Claim, found: Comparison) -> Verdict:
    differences, n = found.differences, len(found.pairs)
    interval = stats.paired_interval(differences) if n > 1 else None
    about = {"claim": claim.id} | vars(found)
    if found.profile == "quick":
        why = "quick runs only: machinery check, no verdict"
        return Verdict(**about, state=NOT_RUN, why=why)
    if interval is None or n < RUNS_WANTED:
        p, state, why = None, INCONCLUSIVE, f"{n} of at least {RUNS_WANTED} independent runs"
    elif claim.rule == "equivalence":
        p, state, why = _equivalent(claim, differences, interval)
    else:
        p, state, why = _superior(claim, differences, interval)
    more = _further(claim, interval, n) if state == INCONCLUSIVE else None
    return Verdict(**about, state=state, why=why, interval=interval, p=p, runs_needed=more)


def _superior(claim: Claim, differences: Sequence[float], interval: stats.Interval) -> _Ruling:
    low, high = interval.low, interval.high
    if claim.direction == "less":
        low, high = -high, -low
    # an effect the wrong way is no evidence for it
    p = stats.p_value(differences) if low + high > 0 else 1.0
    if low > 0:
        small = f", though the effect is below the margin of {claim.margin:g}"
        why = "the whole interval lies on the side claimed"
        return p, REPRODUCED, why + (small if high < claim.margin else "")
    if high < 0:
        return p, NOT_REPRODUCED, "the whole interval lies on the other side"
    if high < claim.margin or high == low:
        return p, NOT_REPRODUCED, f"any effect is smaller than the margin of {claim.margin:g}"
    return p, INCONCLUSIVE, "the interval holds both no effect and an effect of interest"


def _equivalent(claim: Claim, differences: Sequence[float], interval: stats.Interval) -> _Ruling:
    test = stats.equivalence(differences, margin=claim.margin, alpha=ALPHA)
    room = f"the margin of {claim.margin:g}"
    if test.equivalent:
        return test.p, REPRODUCED, f"equal within {room}, by two one-sided tests"
    if interval.low > claim.margin or interval.high < -claim.margin:
        return test.p, NOT_REPRODUCED, f"the whole interval lies beyond {room}"
    return test.p, INCONCLUSIVE, f"neither equal within {room} nor different by more"


def _further(claim: Claim, interval: stats.Interval | None, n: int) -> int | None:
    """Further runs to tell an effect of the claim's margin from none, with 80 % power."""
    if interval is None or claim.margin <= 0:
        return max(RUNS_WANTED - n, 1)
    if claim.rule == "equivalence":
        needed = stats.runs_needed_equivalence(margin=claim.margin, sd=interval.sd)
    else:
        needed = stats.runs_needed(effect=claim.margin, sd=interval.sd)
    return None if needed is None else max(needed - n, RUNS_WANTED - n, 1)


def _correct(paper: Sequence[list[Verdict]]) -> None:
    """Correct the verdicts of one paper, a list for each of its claims, in place."""
    tested = [(own, i) for own in paper for i, one in enumerate(own) if one.p is not None]
    adjusted = stats.holm([own[i].p for own, i in tested])
    for (own, i), p in zip(tested, adjusted, strict=True):
        own[i] = replace(own[i], p_holm=p)
        if own[i].state == REPRODUCED and p >= ALPHA:
            why = f"holds by itself, but not after Holm's correction over {len(tested)} tests"
            own[i] = replace(own[i], state=INCONCLUSIVE, why=why, runs_needed=1)


def _decide(claim: Claim, one: Verdict, judged: Mapping[str, Sequence[Verdict]]) -> Verdict:
    """Let a headline claim hold only where the claims that decide it hold as well."""
    if one.state != REPRODUCED:
        return one
    place = (one.dataset, one.world)
    states = {
        other: {v.state for v in judged[other] if (v.dataset, v.world) == place}
        for other in claim.decided_by
    }
    if failed := [other for other, found in states.items() if NOT_REPRODUCED in found]:
        why = f"the gain is there, but {' and '.join(failed)}, which decides its cause, is not"
        return replace(one, state=NOT_REPRODUCED, why=why)
    if open_ := [other for other, found in states.items() if found != {REPRODUCED}]:
        why = f"the gain is there; {' and '.join(open_)} must still decide what it comes from"
        return replace(one, state=INCONCLUSIVE, why=why)
    return one
