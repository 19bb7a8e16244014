"""The rules of the ledger: what runs say about one claim (spec claims, "How a verdict").

A claim is one contrast (test minus control in each independent run) or several.  Where all must
hold (against each of its controls, or between neighbours of one order or several) they make an
intersection-union test: p is the largest of them, and the weakest contrast speaks for the claim.
Where any will do they make a union-intersection test: p is the smallest after Holm's correction,
and the strongest speaks; the claim is refuted only if each of them is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

from redistill import stats
from redistill.outlook import (
    ALPHA,
    CHANCE,
    OF_FOLDS,
    RUNS_WANTED,
    SETTLED,
    Outlook,
    for_correction,
    for_power,
    for_share,
    for_trend,
    hardest,
    p_later,
)
from redistill.pairing import Comparison, agreement
from redistill.t_rules import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, beyond, equivalent, superior

NOT_TESTABLE = "not testable here"
NOT_RUN = "not yet run"
STATES = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_TESTABLE, NOT_RUN)

_FORCE = (REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN)  # of several, the last found counts


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What a rule makes of one contrast, or of all of a claim."""

    found: Comparison  # the contrast that decides
    state: str
    why: str
    interval: stats.Interval | None = None  # 95 %: Student t, or Wilson for a share of runs
    p: float | None = None  # of the claim's own test, where there are runs enough
    outlook: Outlook = SETTLED  # what an inconclusive verdict would take

    @property
    def runs_needed(self) -> int | None:
        """Further independent runs it would take, if that can be said."""
        return self.outlook.runs


def judge(
    group: Sequence[Comparison],
    *,
    rule: str,
    direction: str,
    margin: float,
    need: str = "all",
    chains: Sequence[int] = (),
) -> Ruling:
    """Judge a claim by its contrasts, which hold the same runs in the same order.

    Args:
        group: one contrast or more; for "order" the neighbours, first against second and so on.
        rule: "superiority" (the whole interval lies on the side claimed), "equivalence" (two
            one-sided tests), "order" (superiority of all neighbours, and Page's permutation test
            of each trend within runs), "ratio" (the whole interval lies beyond the margin) or
            "share" (see `_share`).
        direction: sign claimed, "greater" or "less".
        margin: smallest effect of interest, tolerance, or the bound of a ratio or share; of the
            contrasts that have none of their own.
        need: "all" of the contrasts, or "any" (rules "superiority", "equivalence", "ratio").
        chains: of rule "order" with several orders, how many neighbours each has in its turn.
    """
    sign = -1 if direction == "less" else 1
    if rule == "share":
        return _share(agreement(group, sign), margin)
    count = 1 if need == "any" else len(group)
    parts = [_one(found, rule, sign, margin, count) for found in group]
    if need == "any":
        return _any(parts, sign, rule, margin)
    worst = max(parts, key=lambda part: (_FORCE.index(part.state), part.p or 0, _lack(part, sign)))
    if len(parts) > 1:
        worst = replace(worst, outlook=hardest(_open(parts, worst)))
    if worst.p is None:
        return worst
    worst = replace(worst, p=max(part.p for part in parts))
    return _rising(worst, parts, sign, chains or (len(parts),)) if rule == "order" else worst


def _rising(worst: Ruling, parts: Sequence[Ruling], sign: int, chains: Sequence[int]) -> Ruling:
    """Let orders hold only if each has its trend within runs; the weakest trend counts."""
    rest = iter(parts)
    orders = [list(islice(rest, length)) for length in chains]
    trends = [stats.trend_p_value(_blocks(order, sign)) for order in orders]
    trend = max(trends)
    p = max(worst.p, trend)
    if worst.state != REPRODUCED or trend < ALPHA:
        return replace(worst, p=p)
    order = orders[trends.index(trend)]
    weakest, needed = max(order, key=lambda part: part.p), for_trend(_blocks(order, sign))
    why = f"neighbours differ as claimed, but ranks within runs show no trend (p = {trend:.2g})"
    return replace(weakest, state=INCONCLUSIVE, why=why, p=p, outlook=needed)


def _any(parts: Sequence[Ruling], sign: int, rule: str, margin: float) -> Ruling:
    """Judge contrasts of which one must hold, after Holm's correction."""
    best = min(parts, key=lambda part: (_FORCE.index(part.state), part.p or 0, _lack(part, sign)))
    said = replace(best, found=replace(best.found, name=""), outlook=hardest(_open(parts, best)))
    said = replace(said, why=f"{best.found.name}: {best.why}")
    if best.p is None:
        return said
    said = replace(said, p=min(stats.holm([part.p for part in parts])))
    if best.state == REPRODUCED and said.p >= ALPHA:
        why = f"{best.found.name} holds by itself, but not as the best of {len(parts)}, by Holm"
        bound = margin if best.found.margin is None else best.found.margin
        later = p_later(best.interval, rule=rule, margin=bound, among=len(parts))
        needed = for_correction(later, (), best.interval.n)
        return replace(said, state=INCONCLUSIVE, why=why, outlook=needed)
    return said


def _one(found: Comparison, rule: str, sign: int, margin: float, among: int) -> Ruling:
    """Judge one contrast ``among`` several; "ratio" is superiority beyond the margin."""
    margin = margin if found.margin is None else found.margin
    n = len(found.pairs)
    counted = n > 1 and found.profile != "quick"
    data = found.judged if counted else []
    interval = stats.paired_interval(data) if counted else None
    if soon := early(found):
        state, why, p = soon
    elif rule == "equivalence":
        state, why, p = equivalent(data, margin, among)
    elif rule == "ratio":
        state, why, p = beyond(data, margin, sign, among)
    else:
        state, why, p = superior([sign * x for x in data], margin, among)
    if found.overlap and p is not None:
        why += "; corrected, since its folds share training clips"
    ruling = Ruling(found=found, interval=interval, state=state, why=why, p=p)
    return replace(ruling, outlook=further(ruling, rule, margin))


def early(found: Comparison, *, corrected: bool = True) -> tuple[str, str, None] | None:
    """State of what may not be judged: quick runs, too few, or folds without a correction."""
    if found.profile == "quick":
        return NOT_RUN, "quick runs only: machinery check, no verdict", None
    if found.overlap and not corrected:
        return INCONCLUSIVE, "its runs are of different folds, which share training clips", None
    if len(found.pairs) < RUNS_WANTED:
        return INCONCLUSIVE, f"{len(found.pairs)} of at least {RUNS_WANTED} independent runs", None
    return None


def _share(found: Comparison, margin: float) -> Ruling:
    """Rule on the share of independent runs (1 or 0 each) in which all gains have the sign claimed.

    Reproduced if the share is at least ``margin`` and its Wilson interval lies above one half;
    not reproduced if the interval lies below ``margin``.  p is of the score test of one half,
    which that interval inverts.  Folds are averaged inside a run and are no runs of their own.
    """
    n, right = len(found.pairs), round(sum(found.differences))
    interval = stats.wilson(right, n)
    about = {"found": found, "interval": interval}
    if soon := early(found, corrected=False):
        state, why, _ = soon
        if state == NOT_RUN:
            return Ruling(found=found, state=state, why=why)
        ruling = Ruling(**about, state=state, why=why)
        return replace(ruling, outlook=further(replace(ruling, interval=None), "share", margin))
    p = stats.score_p_value(right, n, share=CHANCE) if interval.mean > CHANCE else 1.0
    said = f"in {right} of {n} runs"
    if interval.mean >= margin and interval.low > CHANCE:
        return Ruling(**about, state=REPRODUCED, why=f"all gains as claimed {said}", p=p)
    if interval.high < margin:
        why = f"all gains as claimed {said} only; the interval lies below {margin:g}"
        return Ruling(**about, state=NOT_REPRODUCED, why=why, p=p)
    why = f"all gains as claimed {said}, which is neither surely most nor surely below {margin:g}"
    needed = for_share(right, n, margin=margin)
    return Ruling(**about, state=INCONCLUSIVE, why=why, p=p, outlook=needed)


def _blocks(order: Sequence[Ruling], sign: int) -> list[tuple[float, ...]]:
    """Return the runs as blocks for Page's test, their arms in the order claimed."""
    columns = [[pair.test for pair in part.found.pairs] for part in order]
    columns.append([pair.control for pair in order[-1].found.pairs])
    return list(zip(*columns[::-sign], strict=True))


def further(ruling: Ruling, rule: str, margin: float) -> Outlook:
    """Say what an open ruling takes; nothing of one that is decided."""
    if ruling.state != INCONCLUSIVE:
        return SETTLED
    if ruling.found.overlap:
        return OF_FOLDS
    return for_power(ruling.interval, len(ruling.found.pairs), rule=rule, margin=margin)


def _open(parts: Sequence[Ruling], speaks: Ruling) -> list[Outlook]:
    return [p.outlook for p in parts if p.state == speaks.state == INCONCLUSIVE]


def _lack(part: Ruling, sign: int) -> float:
    return -sign * fmean(part.found.differences)
