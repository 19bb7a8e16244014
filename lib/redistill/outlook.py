"""What an open verdict takes: how many further runs, or why no number of them can be given.

Two questions are told apart.  An interval that holds both no effect and an effect of interest
asks for power: runs enough to tell the two apart in 80 of 100 repetitions.  A test that holds by
itself, but not after a correction, asks for less: runs at which it would, if mean and spread stay
as they are.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as distributions

from redistill import stats

RUNS_WANTED = 10  # fewer independent runs give no verdict
ALPHA = 0.05
CHANCE = 0.5  # share of runs that a coin would give


@dataclass(frozen=True)
class Outlook:
    """What an open verdict takes."""

    runs: int | None = None  # further independent runs
    text: str = ""  # the same as a sentence, or why there is no number; "" if nothing is open


SETTLED = Outlook()
OF_FOLDS = Outlook(None, "more such runs would help little: run all folds with each seed")
Later = Callable[[int], float]  # runs -> p


def for_power(
    interval: stats.Interval | None, n: int, *, rule: str = "superiority", margin: float = 0.0
) -> Outlook:
    """Return how many runs tell an effect of the margin from none, with 80 % power.

    Where there is no margin to tell it by (0, or a ratio), the effect is the one seen.

    Args:
        interval: of the ``n`` runs there are; None if they are too few for one.
        n: runs there are.
        rule: of the claim.
        margin: of the claim.
    """
    wanted = _runs(RUNS_WANTED - n, "would make the ten that a verdict takes")
    if interval is None or (n < RUNS_WANTED and _clear(interval, rule=rule, margin=margin)):
        return wanted
    if rule == "equivalence":
        told = f"show equality within {margin:g}, if nothing differs"
        needed = stats.runs_needed_equivalence(margin=margin, sd=interval.sd)
    else:
        effect = abs(interval.mean - margin) if rule == "ratio" else margin or abs(interval.mean)
        if not effect:
            return Outlook(None, "what is seen is no difference at all, which no run can settle")
        mark = f"{margin:g}" if rule == "ratio" else "none"
        told = f"tell an effect of {effect:.3g} from {mark}"
        needed = stats.runs_needed(effect=effect, sd=interval.sd)
    if needed is None:
        return Outlook(None, f"not even {stats.MOST_RUNS:,} runs would {told}, so wide they spread")
    if needed <= RUNS_WANTED and n < RUNS_WANTED:
        return wanted
    if needed > n:
        return _runs(needed - n, f"would {told} (80 % power, spread as seen)")
    return _undecided(interval, rule=rule, margin=margin)


def _clear(interval: stats.Interval, *, rule: str, margin: float) -> bool:
    """Say whether an interval would decide, were there runs enough."""
    low, high = interval.low, interval.high
    if rule == "ratio":
        return not low <= margin <= high
    inside = max(abs(low), abs(high)) < margin
    return inside or (low > margin or high < -margin if rule == "equivalence" else low * high > 0)


def _undecided(interval: stats.Interval, *, rule: str, margin: float) -> Outlook:
    """Return what is left where power is there already, but the mean lies in between."""
    seen = interval
    if rule == "superiority":  # the nearer way out: above none, or below the margin
        seen = replace(interval, mean=max(abs(seen.mean), abs(margin - abs(seen.mean))))
    needed = _first_below(p_later(seen, rule=rule, margin=margin), interval.n)
    if needed is None:
        return Outlook(None, "it lies where neither can be shown, however many the runs")
    return _runs(needed - interval.n, "would settle it, if mean and spread stay as they are")


def for_share(right: int, n: int, *, margin: float) -> Outlook:
    """Return how many runs judge a share of runs, if it stays as it is."""
    needed = stats.runs_for_share(right, n, margin=margin, chance=CHANCE)
    if needed is None:
        return Outlook(None, f"not even {stats.MOST_RUNS:,} runs would judge a share like this one")
    return _runs(needed - n, "would settle it, if the share stays as it is")


def for_trend(blocks: Sequence[Sequence[float]]) -> Outlook:
    """Return how many runs show a trend within runs, if ranks stay as they are.

    Page's L of n runs of k arms has mean n k (k + 1)^2 / 4 and variance
    n k^2 (k + 1)^2 (k - 1) / 144 where no order is preferred; far from few it is normal.
    """
    ranks = distributions.rankdata(np.asarray(blocks, dtype=float), axis=1)
    n, k = ranks.shape
    each = (ranks * np.arange(1, k + 1)).sum(axis=1).mean() - k * (k + 1) ** 2 / 4
    if each <= 0:
        return Outlook(None, "ranks within runs show no trend that more runs could bring out")
    spread = k * (k + 1) * math.sqrt(k - 1) / 12
    needed = math.ceil((distributions.norm.isf(ALPHA) * spread / each) ** 2)
    return _runs(max(needed - n, 1), "would show the trend, if ranks stay as they are")


def for_correction(later: Later | None, others: Sequence[float], n: int) -> Outlook:
    """Return how many runs hold after Holm's correction, mean, spread and ``others`` as they are.

    Args:
        later: p after so many runs; None if it cannot be foretold.
        others: p of the other tests that are corrected together with it.
        n: runs there are.
    """
    if later is None:
        return Outlook(None, "its p is of permutations, and cannot be foretold for more runs")
    needed = _first_below(lambda more: stats.holm([later(more), *others])[0], n)
    if needed is None:
        return Outlook(None, f"not even {stats.MOST_RUNS:,} runs would do, as things are")
    told = "would do after Holm's correction, if mean, spread and the other tests stay as they are"
    return _runs(needed - n, told)


def p_later(interval: stats.Interval, *, rule: str, margin: float, among: int = 1) -> Later:
    """Return p of a claim's own test as a function of the runs, mean and spread as they are.

    Args:
        interval: of the runs there are.
        rule: "superiority", "ratio", "equivalence" or "share".
        margin: of the claim; a bound for "ratio".
        among: how many contrasts the best was chosen from.
    """
    mean, sd = interval.mean, interval.sd
    off = {"equivalence": margin - abs(mean), "ratio": abs(mean - margin), "share": mean - CHANCE}
    effect = off.get(rule, abs(mean))
    sd, sides = (CHANCE, 2) if rule == "share" else (sd, 1 if rule == "equivalence" else 2)

    def later(n: int) -> float:
        t = effect / sd * math.sqrt(n) if sd else math.copysign(math.inf, effect)
        tail = distributions.norm.sf(t) if rule == "share" else distributions.t.sf(t, n - 1)
        return min(1.0, among * sides * float(tail))

    return later


def p_scaled(p: float, n: int) -> Later:
    """Return ``p`` of ``n`` runs as a function of the runs, for a test that is normal by then."""
    z = distributions.norm.isf(p)
    return lambda runs: float(distributions.norm.sf(z * math.sqrt(runs / n)))


def waits_for(others: Sequence[str]) -> Outlook:
    """Return what a claim takes that holds, but waits for those that decide its cause."""
    names = " and ".join(others)
    return Outlook(None, f"more runs of its own would not help: it waits for {names}")


def hardest(parts: Sequence[Outlook]) -> Outlook:
    """Return what settles every one of several open contrasts."""
    return max(parts, key=lambda one: math.inf if one.runs is None else one.runs, default=SETTLED)


def _first_below(later: Later, n: int) -> int | None:
    """Return the fewest runs above ``n`` whose p is below 5 %."""
    runs = range(n + 1, stats.MOST_RUNS + 1)
    found = bisect_left(runs, True, key=lambda more: later(more) < ALPHA)
    return runs[found] if found < len(runs) else None


def _runs(number: int, does: str) -> Outlook:
    return Outlook(number, f"{number} more run{'' if number == 1 else 's'} {does}")
