"""Verdicts by Student's t on one contrast: superiority, a bound, equivalence.

Each rule returns state, reason and p of the claim's own test.
"""

from collections.abc import Sequence

from redistill import stats
from redistill.outlook import ALPHA

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
INCONCLUSIVE = "inconclusive"


def superior(data: Sequence[float], margin: float, among: int) -> tuple[str, str, float]:
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


def beyond(data: Sequence[float], margin: float, sign: int, among: int) -> tuple[str, str, float]:
    """Rule on values of which the claim says that they lie beyond the margin."""
    state, _, p = superior([sign * (x - margin) for x in data], 0.0, among)
    side = f"{'below' if sign < 0 else 'above'} {margin:g}"
    why = {
        REPRODUCED: f"the whole interval lies {side}",
        NOT_REPRODUCED: f"no part of the interval lies {side}",
        INCONCLUSIVE: f"the interval holds {margin:g}",
    }
    return state, why[state], p


def equivalent(data: Sequence[float], margin: float, among: int) -> tuple[str, str, float]:
    """Rule on differences of which the claim says that they are none, by two one-sided tests."""
    test = stats.equivalence(data, margin=margin, alpha=ALPHA)
    low, high = _ends(data, among)
    room = f"the margin of {margin:g}"
    if test.equivalent:
        return REPRODUCED, f"equal within {room}, by two one-sided tests", test.p
    if low > margin or high < -margin:
        return NOT_REPRODUCED, f"the whole interval lies beyond {room}", test.p
    return INCONCLUSIVE, f"neither equal within {room} nor different by more", test.p


def _ends(data: Sequence[float], among: int = 1) -> tuple[float, float]:
    interval = stats.paired_interval(data, confidence=1 - ALPHA / among)
    return interval.low, interval.high
