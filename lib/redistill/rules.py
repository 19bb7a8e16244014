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
from redistill.pairing import Comparison, agreement

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
INCONCLUSIVE = "inconclusive"
NOT_TESTABLE = "not testable here"
NOT_RUN = "not yet run"
STATES = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_TESTABLE, NOT_RUN)

RUNS_WANTED = 10  # fewer independent runs give no verdict
ALPHA = 0.05
CHANCE = 0.5  # share of runs that a coin would give
_FORCE = (REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN)  # of several, the last found counts


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What a rule makes of one contrast, or of all of a claim."""

    found: Comparison  # the contrast that decides
    state: str
    why: str
    interval: stats.Interval | None = None  # 95 %: Student t, or Wilson for a share of runs
    p: float | None = None  # of the claim's own test, where there are runs enough
    runs_needed: int | None = None  # further independent runs an inconclusive verdict would take


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
    among = 1 if need == "any" else len(group)
    parts = [_one(found, rule, sign, margin, among) for found in group]
    if need == "any":
        return _any(parts, sign)
    worst = max(parts, key=lambda part: (_FORCE.index(part.state), part.p or 0, _lack(part, sign)))
    if len(parts) > 1:
        worst = replace(worst, runs_needed=_most(parts, worst.state))
    if worst.p is None:
        return worst
    worst = replace(worst, p=max(part.p for part in parts))
    return _rising(worst, parts, sign, chains or (len(parts),)) if rule == "order" else worst


def _rising(worst: Ruling, parts: Sequence[Ruling], sign: int, chains: Sequence[int]) -> Ruling:
    """Let orders hold only if each has its trend within runs; the weakest trend counts."""
    rest = iter(parts)
    orders = [list(islice(rest, length)) for length in chains]
    trends = [_trend([part.found for part in order], sign) for order in orders]
    trend = max(trends)
    p = max(worst.p, trend)
    if worst.state != REPRODUCED or trend < ALPHA:
        return replace(worst, p=p)
    weakest = max(orders[trends.index(trend)], key=lambda part: part.p)
    why = f"neighbours differ as claimed, but ranks within runs show no trend (p = {trend:.2g})"
    return replace(weakest, state=INCONCLUSIVE, why=why, p=p, runs_needed=1)


def _any(parts: Sequence[Ruling], sign: int) -> Ruling:
    """Judge contrasts of which one must hold, after Holm's correction."""
    best = min(parts, key=lambda part: (_FORCE.index(part.state), part.p or 0, _lack(part, sign)))
    needed = _most(parts, best.state)
    said = replace(best, why=f"{best.found.name}: {best.why}", runs_needed=needed)
    said = replace(said, found=replace(best.found, name=""))
    if best.p is None:
        return said
    said = replace(said, p=min(stats.holm([part.p for part in parts])))
    if best.state == REPRODUCED and said.p >= ALPHA:
        why = f"{best.found.name} holds by itself, but not as the best of {len(parts)}, by Holm"
        return replace(said, state=INCONCLUSIVE, why=why, runs_needed=1)
    return said


def _one(found: Comparison, rule: str, sign: int, margin: float, among: int) -> Ruling:
    """Judge one contrast ``among`` several; "ratio" is superiority beyond the margin."""
    margin = margin if found.margin is None else found.margin
    n = len(found.pairs)
    counted = n > 1 and found.profile != "quick"
    interval = stats.paired_interval(found.differences) if counted else None
    if soon := early(found):
        state, why, p = soon
    elif rule == "equivalence":
        state, why, p = _equivalent(found.differences, margin, among)
    elif rule == "ratio":
        state, why, p = _beyond(found.differences, margin, sign, among)
    else:
        state, why, p = _superior([sign * x for x in found.differences], margin, among)
    ruling = Ruling(found=found, interval=interval, state=state, why=why, p=p)
    return replace(ruling, runs_needed=further(ruling, rule, margin))


def early(found: Comparison) -> tuple[str, str, None] | None:
    """State of what may not be judged: quick runs, or too few."""
    if found.profile == "quick":
        return NOT_RUN, "quick runs only: machinery check, no verdict", None
    if len(found.pairs) < RUNS_WANTED:
        return INCONCLUSIVE, f"{len(found.pairs)} of at least {RUNS_WANTED} independent runs", None
    return None


def _superior(data: Sequence[float], margin: float, among: int) -> tuple[str, str, float]:
    """Rule on differences turned so that the claim says "above 0".

    One contrast of several refutes the whole claim, so its interval for that is Bonferroni's.
    """
    low, high = _ends(data)
    wide_low, wide_high = _ends(data, among)
    # an effect the wrong way is no evidence for the claim
    p = stats.p_value(data) if low + high > 0 else 1.0
    if low > 0:
        small = f", though the effect is below the margin of {margin:g}" if high < margin else ""
        return REPRODUCED, f"the whole interval lies on the side claimed{small}", p
    if wide_high < 0:
        return NOT_REPRODUCED, "the whole interval lies on the other side", p
    if wide_high == wide_low:
        return NOT_REPRODUCED, "there is no difference in any run", p
    if wide_high < margin:
        return NOT_REPRODUCED, f"any effect is smaller than the margin of {margin:g}", p
    return INCONCLUSIVE, "the interval holds both no effect and an effect of interest", p


def _beyond(data: Sequence[float], margin: float, sign: int, among: int) -> tuple[str, str, float]:
    state, _, p = _superior([sign * (x - margin) for x in data], 0.0, among)
    side = f"{'below' if sign < 0 else 'above'} {margin:g}"
    why = {
        REPRODUCED: f"the whole interval lies {side}",
        NOT_REPRODUCED: f"no part of the interval lies {side}",
        INCONCLUSIVE: f"the interval holds {margin:g}",
    }
    return state, why[state], p


def _equivalent(data: Sequence[float], margin: float, among: int) -> tuple[str, str, float]:
    test = stats.equivalence(data, margin=margin, alpha=ALPHA)
    low, high = _ends(data, among)
    room = f"the margin of {margin:g}"
    if test.equivalent:
        return REPRODUCED, f"equal within {room}, by two one-sided tests", test.p
    if low > margin or high < -margin:
        return NOT_REPRODUCED, f"the whole interval lies beyond {room}", test.p
    return INCONCLUSIVE, f"neither equal within {room} nor different by more", test.p


def _share(found: Comparison, margin: float) -> Ruling:
    """Rule on the share of independent runs (1 or 0 each) in which all gains have the sign claimed.

    Reproduced if the share is at least ``margin`` and its Wilson interval lies above one half;
    not reproduced if the interval lies below ``margin``.  p is of the score test of one half,
    which that interval inverts.  Folds are averaged inside a run and are no runs of their own.
    """
    n, right = len(found.pairs), round(sum(found.differences))
    interval = stats.wilson(right, n)
    about = {"found": found, "interval": interval}
    if soon := early(found):
        state, why, _ = soon
        if state == NOT_RUN:
            return Ruling(found=found, state=state, why=why)
        return Ruling(**about, state=state, why=why, runs_needed=RUNS_WANTED - n)
    p = stats.score_p_value(right, n, share=CHANCE) if interval.mean > CHANCE else 1.0
    said = f"in {right} of {n} runs"
    if interval.mean >= margin and interval.low > CHANCE:
        return Ruling(**about, state=REPRODUCED, why=f"all gains as claimed {said}", p=p)
    if interval.high < margin:
        why = f"all gains as claimed {said} only; the interval lies below {margin:g}"
        return Ruling(**about, state=NOT_REPRODUCED, why=why, p=p)
    why = f"all gains as claimed {said}, which is neither surely most nor surely below {margin:g}"
    needed = stats.runs_for_share(right, n, margin=margin, chance=CHANCE)
    more = None if needed is None else needed - n
    return Ruling(**about, state=INCONCLUSIVE, why=why, p=p, runs_needed=more)


def _trend(group: Sequence[Comparison], sign: int) -> float:
    """One-sided p of Page's test: runs are blocks, their arms stand in the order claimed."""
    columns = [[pair.test for pair in found.pairs] for found in group]
    columns.append([pair.control for pair in group[-1].pairs])
    return stats.trend_p_value(list(zip(*columns[::-sign], strict=True)))


def further(ruling: Ruling, rule: str, margin: float) -> int | None:
    """Further runs to tell an effect of the margin from none, with 80 % power.

    Where there is no margin to tell it by (0, or a ratio), the effect is the one seen.
    """
    n, interval = len(ruling.found.pairs), ruling.interval
    if ruling.state != INCONCLUSIVE:
        return None
    if interval is None:
        return RUNS_WANTED - n
    if rule == "equivalence":
        needed = stats.runs_needed_equivalence(margin=margin, sd=interval.sd)
    else:
        effect = abs(interval.mean - margin) if rule == "ratio" else margin or abs(interval.mean)
        needed = stats.runs_needed(effect=effect, sd=interval.sd) if effect else None
    return None if needed is None else max(needed - n, RUNS_WANTED - n, 1)


def _most(parts: Sequence[Ruling], state: str) -> int | None:
    """Return what settles every open contrast; None if one cannot be, or none has to be."""
    needed = [part.runs_needed for part in parts if part.state == state == INCONCLUSIVE]
    return None if not needed or None in needed else max(needed)


def _lack(part: Ruling, sign: int) -> float:
    return -sign * fmean(part.found.differences)


def _ends(data: Sequence[float], among: int = 1) -> tuple[float, float]:
    interval = stats.paired_interval(data, confidence=1 - ALPHA / among)
    return interval.low, interval.high
