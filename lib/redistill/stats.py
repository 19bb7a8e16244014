"""Intervals, equivalence, power and multiplicity for paired runs (spec claims, "How a verdict").

One number per independent run (data seed x training seed) comes in: test arm minus control arm,
in the unit of the caller (points of accuracy, as a rule).  Every function says what it assumes.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats

from redistill.errors import ConfigError

MOST_RUNS = 10_000  # above this, "more runs" is no longer an answer


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, in the unit of the data."""

    mean: float
    low: float
    high: float
    n: int  # independent runs (or clips, for `wilson`)
    sd: float  # sample standard deviation of one run
    confidence: float


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests of |true mean| < margin."""

    equivalent: bool
    p: float  # the larger of the two one-sided p values
    margin: float
    interval: Interval  # of confidence 1 - 2 alpha; equivalent exactly if inside the margin


def paired_interval(differences: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student t interval of the mean of ``differences`` (n,), one per independent run."""
    data = _sample(differences)
    return _t_interval(data, data.std(ddof=1) / math.sqrt(data.size), confidence)


def corrected_interval(
    differences: Sequence[float], *, test_train_ratio: float, confidence: float = 0.95
) -> Interval:
    """Corrected resampled t interval over folds or resamplings of one data set.

    Folds share training clips, so that their plain standard error is too small; the variance
    factor 1/n becomes 1/n + n_test/n_train (Nadeau and Bengio 2003, eq. 9).
    """
    if not (math.isfinite(test_train_ratio) and test_train_ratio > 0):
        raise ConfigError(f"test_train_ratio is {test_train_ratio}; give clips tested / trained on")
    data = _sample(differences)
    factor = math.sqrt(1 / data.size + test_train_ratio)
    return _t_interval(data, data.std(ddof=1) * factor, confidence)


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p of the paired t test that the mean is 0; below .05 iff the interval excludes 0.

    Differences that are all alike have no spread to judge by: p is 0, or 1 if they are all 0.
    """
    data = _sample(differences)
    error = data.std(ddof=1) / math.sqrt(data.size)
    if error == 0:
        return float(data[0] == 0)
    return float(2 * stats.t.sf(abs(data.mean()) / error, data.size - 1))


def equivalence(differences: Sequence[float], *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Test that the true mean lies within ``margin`` of 0 by two one-sided t tests (TOST)."""
    _check_margin(margin)
    interval = paired_interval(differences, confidence=1 - 2 * _share("alpha", alpha, below=0.5))
    room = margin - abs(interval.mean)
    error = interval.sd / math.sqrt(interval.n)
    p = float(stats.t.sf(room / error, interval.n - 1)) if error else float(room <= 0)
    return Equivalence(p < alpha, p, margin, interval)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjusted p values, in the order given."""
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"p values {list(p_values)} must be a list of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return tuple(np.minimum(steps, 1)[np.argsort(order)].tolist())


def power(*, effect: float, sd: float, n: int, confidence: float = 0.95) -> float:
    """Probability that the t interval of ``n`` runs lies wholly on the side of ``effect``.

    Exact under normal differences: noncentral t with noncentrality effect / (sd / sqrt n).
    """
    if n < 2 or sd <= 0 or effect == 0:
        raise ConfigError(f"power needs n >= 2, sd > 0, effect != 0; got {n=}, {sd=}, {effect=}")
    critical = stats.t.ppf((1 + _share("confidence", confidence)) / 2, n - 1)
    return _tail(critical, n, abs(effect) / sd)


def runs_needed(
    *, effect: float, sd: float, target: float = 0.8, confidence: float = 0.95
) -> int | None:
    """Fewest runs whose interval excludes 0 with probability ``target`` if ``effect`` is true.

    None if more than 10,000 runs would be needed.
    """
    _share("target", target)
    if sd == 0:
        return 2
    return _first(lambda n: power(effect=effect, sd=sd, n=n, confidence=confidence) >= target)


def runs_needed_equivalence(
    *, margin: float, sd: float, target: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Fewest runs for which TOST succeeds with probability ``target`` if nothing differs.

    By Bonferroni's bound on the two one-sided failures, so slightly on the safe side.
    """
    _share("target", target)
    _check_margin(margin)
    if sd == 0:
        return 2
    enough = (1 + target) / 2  # for each of the two
    return _first(lambda n: _tail(stats.t.ppf(1 - alpha, n - 1), n, margin / sd) >= enough)


def smallest_detectable(*, clips: int, disagreement: float) -> float:
    """Smallest paired accuracy difference one test of ``clips`` clips resolves, as a fraction.

    2.8 sqrt(d / n): two-sided 5 %, power 80 % (1.96 + 0.84), where ``disagreement`` d is the
    share of clips on which exactly one of the two arms is right (McNemar).
    """
    if clips < 1 or not 0 <= disagreement <= 1:
        raise ConfigError(f"{clips=} must be positive and {disagreement=} from 0 to 1")
    return 2.8 * math.sqrt(disagreement / clips)


def expected_maximum(*, k: int, sd: float) -> float:
    """Mean of the largest of ``k`` independent null differences of standard deviation ``sd``.

    What "up to x points" must be compared with: 9 differences of sd 2 give +3.0 from nothing.
    """
    if k < 1 or sd < 0:
        raise ConfigError(f"{k=} must be positive and {sd=} must not be negative")
    value, _ = integrate.quad(
        lambda x: x * k * stats.norm.pdf(x) * stats.norm.cdf(x) ** (k - 1), -9, 9, limit=200
    )
    return sd * value


def wilson(correct: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson score interval of one accuracy, ``correct`` of ``n`` clips, as fractions."""
    if n < 1 or not 0 <= correct <= n:
        raise ConfigError(f"{correct} right of {n} clips is not an accuracy")
    share = correct / n
    z = float(stats.norm.ppf((1 + _share("confidence", confidence)) / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    sd = math.sqrt(share * (1 - share))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(share, min(low, share), max(high, share), n, sd, confidence)


def score_p_value(correct: int, n: int, *, share: float) -> float:
    """Two-sided p of the score test of a true ``share``; below .05 iff `wilson` excludes it."""
    wilson(correct, n)  # checks the counts
    error = math.sqrt(_share("share", share) * (1 - share) / n)
    return float(2 * stats.norm.sf(abs(correct / n - share) / error))


def runs_for_share(correct: int, n: int, *, margin: float, chance: float) -> int | None:
    """Fewest runs, more than ``n``, that judge the share ``correct`` / ``n`` if it stays.

    Judged is a share of at least ``margin`` whose Wilson interval excludes ``chance``, or one
    whose interval excludes ``margin``.  None if more than 10,000 runs would be needed.
    """
    for runs in range(n + 1, MOST_RUNS + 1):
        found = wilson(round(correct / n * runs), runs)
        if found.high < margin or (found.mean >= margin and found.low > chance):
            return runs
    return None


def trend_p_value(blocks: Sequence[Sequence[float]]) -> float:
    """One-sided p of Page's test that values rise along a block (runs, arms).

    Under the null the arms of each block are exchangeable, so the order of its ranks is random.
    """
    data = np.asarray(blocks, dtype=float)
    if data.ndim != 2 or data.shape[0] < 2 or data.shape[1] < 2 or not np.isfinite(data).all():
        raise ConfigError(f"blocks of shape {data.shape} must be 2 or more runs of 2 or more arms")
    if data.shape[1] == 2:  # Page needs three; of two arms, ranks are signs
        rises = int((data[:, 1] > data[:, 0]).sum())
        return float(stats.binomtest(rises, data.shape[0], alternative="greater").pvalue)
    return float(stats.page_trend_test(data).pvalue)


def _sample(differences: Sequence[float]) -> np.ndarray:
    data = np.asarray(differences, dtype=float)
    if data.ndim != 1 or data.size < 2 or not np.isfinite(data).all():
        raise ConfigError(f"differences {differences!r} must be at least 2 finite numbers")
    return data


def _share(name: str, value: float, *, below: float = 1.0) -> float:
    if not 0 < value < below:
        raise ConfigError(f"{name} is {value}; give a number between 0 and {below:g}")
    return value


def _check_margin(margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0):
        raise ConfigError(f"margin is {margin}; an equivalence margin is a positive number")


def _t_interval(data: np.ndarray, error: float, confidence: float) -> Interval:
    critical = stats.t.ppf((1 + _share("confidence", confidence)) / 2, data.size - 1)
    mean, sd, half = float(data.mean()), float(data.std(ddof=1)), float(critical * error)
    return Interval(mean, mean - half, mean + half, int(data.size), sd, confidence)


def _tail(critical: float, n: int, effect: float) -> float:
    """P(noncentral t > critical); normal where scipy's series gives up (far in the tail)."""
    shift = effect * math.sqrt(n)
    value = float(stats.nct.sf(critical, n - 1, shift))
    return value if math.isfinite(value) else float(stats.norm.sf(critical - shift))


def _first(reaches: Callable[[int], bool]) -> int | None:
    """Smallest n >= 2 for which a monotone predicate holds; None if none up to MOST_RUNS does."""
    runs = range(2, MOST_RUNS + 1)
    found = bisect_left(runs, True, key=reaches)
    return runs[found] if found < len(runs) else None
