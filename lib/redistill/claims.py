"""The ledger: what the papers claim, and the verdict our records give on each claim.

The rules (redistill.rules) are those of spec claims, "How a verdict is reached".  Everything here
is a pure function of the claims and of records (the content of record.json files).
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from inspect import signature
from typing import Any

from redistill import stats
from redistill.claim_rows import chains, check_rows, read_rows
from redistill.errors import ConfigError, nearest
from redistill.grid_rule import judge_grid
from redistill.outlook import (
    OF_FOLDS,
    SETTLED,
    Later,
    Outlook,
    for_correction,
    p_later,
    p_scaled,
    waits_for,
)
from redistill.pairing import Comparison, Contrast, Record, comparisons
from redistill.papers import PAPERS
from redistill.rules import (
    ALPHA,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    NOT_TESTABLE,
    REPRODUCED,
    judge,
)

_CHOICES = {
    "paper": tuple(PAPERS),
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
    rows: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """What its rows compare, as the head of claims.toml explains; one unless several count."""
        return read_rows(self.rows)

    @property
    def marks(self) -> tuple[float, ...]:
        """Where its margin lies: the smallest effect of interest, a bound, both of a tolerance."""
        if self.rule == "equivalence":
            return -self.margin, self.margin
        less = self.direction == "less" and self.rule != "ratio"
        return (-self.margin if less else self.margin,)


@dataclass(frozen=True, kw_only=True)
class Verdict(Comparison):
    """What the runs say about one claim on one data set, world and setting."""

    claim: str
    state: str
    why: str
    interval: stats.Interval | None = None  # of test minus control, or of the share; 95 %
    p: float | None = None  # of the claim's own test, where there are runs enough
    p_holm: float | None = None  # the same after Holm's correction within the paper
    outlook: Outlook = SETTLED  # what an inconclusive verdict would take

    @property
    def runs_needed(self) -> int | None:
        """Further independent runs an inconclusive verdict would take, if that can be said."""
        return self.outlook.runs


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
    found = comparisons(records, claim.contrasts, points=claim.unit == "points")
    return tuple(_judge(claim, group) for group in found) or (
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
        _correct([(claim, own[claim.id]) for claim in claims if claim.paper == paper])
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
    if entry.get("rows"):
        check_rows(name, entry)
    return Claim(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})


def _judge(claim: Claim, group: Sequence[Comparison]) -> Verdict:
    if "grid" in claim.rows:
        _, columns = claim.rows["grid"].values()
        ruling = judge_grid(group, columns=len(columns), margin=claim.margin)
    else:
        rule = "share" if "gains" in claim.rows else claim.rule
        need = "any" if "any" in claim.rows else "all"
        about = {"direction": claim.direction, "margin": claim.margin, "need": need}
        ruling = judge(group, rule=rule, chains=chains(claim.rows), **about)
    about = vars(ruling.found) | {k: v for k, v in vars(ruling).items() if k != "found"}
    return Verdict(claim=claim.id, **about)


def _correct(paper: Sequence[tuple[Claim, list[Verdict]]]) -> None:
    """Correct the verdicts of one paper, a list for each of its claims, in place."""
    tested = [
        (claim, own, i) for claim, own in paper for i, one in enumerate(own) if one.p is not None
    ]
    ps = [own[i].p for _, own, i in tested]
    adjusted = stats.holm(ps)
    for number, ((claim, own, i), p) in enumerate(zip(tested, adjusted, strict=True)):
        own[i] = replace(own[i], p_holm=p)
        if own[i].state == REPRODUCED and p >= ALPHA:
            why = f"holds by itself, but not after Holm's correction over {len(tested)} tests"
            others = ps[:number] + ps[number + 1 :]
            needed = for_correction(_later(claim, own[i]), others, len(own[i].pairs))
            needed = OF_FOLDS if own[i].overlap else needed
            own[i] = replace(own[i], state=INCONCLUSIVE, why=why, outlook=needed)


def _later(claim: Claim, one: Verdict) -> Later | None:
    """Return p of a verdict after more runs; None for a permutation test, or with no interval."""
    if "grid" in claim.rows or one.interval is None:
        return None
    rule = {"order": "superiority"}.get(claim.rule, claim.rule)
    margin = claim.margin if one.margin is None else one.margin
    about = {"rule": "share" if "gains" in claim.rows else rule, "margin": margin}
    later = p_later(one.interval, **about, among=len(claim.rows.get("any", [0])))
    if claim.rule != "order":
        return later
    trend = p_scaled(one.p, len(one.pairs))  # Page's trend may be the weaker part
    return lambda n: max(later(n), trend(n))


def _decide(claim: Claim, one: Verdict, judged: Mapping[str, Sequence[Verdict]]) -> Verdict:
    """Let a headline claim hold only where the claims that decide it hold as well."""
    if one.state != REPRODUCED:
        return one
    place = (one.dataset, one.world)
    states = {  # quick runs beside those that count change nothing
        other: {v.state for v in judged[other] if (v.dataset, v.world) == place} - {NOT_RUN}
        for other in claim.decided_by
    }
    if failed := [other for other, found in states.items() if NOT_REPRODUCED in found]:
        why = f"the gain is there, but {' and '.join(failed)}, which decides its cause, is not"
        return replace(one, state=NOT_REPRODUCED, why=why)
    if open_ := [other for other, found in states.items() if found != {REPRODUCED}]:
        why = f"the gain is there; {' and '.join(open_)} must still decide what it comes from"
        return replace(one, state=INCONCLUSIVE, why=why, outlook=waits_for(open_))
    return one
