r"""Rank correlation of two measures within strata, where a third is held fixed.

$$\tau = \frac{C - D}{C + D}$$

over pairs of one stratum, C of them ordered alike by both measures and D the other way round.
Pairs of different strata are never compared, so nothing that differs between strata (the training
loss, say) can make a correlation.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from redistill.errors import ConfigError

_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # first, second, sign of x[second] - x[first]


def stratified_tau(x: Sequence[float], y: Sequence[float], strata: Sequence[Hashable]) -> float:
    """Kendall's tau of ``x`` (n,) with ``y`` (n,) over pairs within strata only, from -1 to 1.

    A pair tied in either measure says nothing about their order and is left out of numerator and
    denominator (Goodman and Kruskal's gamma; over strata Davis 1967).  Tau-b divides by a larger
    number where there are ties, so that a perfect order of what can be told apart would be less
    than 1.  Without ties and with one stratum all of them are Kendall's tau.

    Args:
        x: one measure.
        y: the other.
        strata: a label for each of the n; alike means of one stratum.

    Raises:
        ConfigError: lengths that differ, numbers that are not finite, or no pair to compare.
    """
    x, y, groups = _checked(x, y, strata)
    pairs = _pairs(x, groups)
    agree = _agree(y, pairs)
    if not agree.any():
        raise ConfigError(
            f"no pair of one stratum differs in both measures ({x.size} numbers in {len(groups)} "
            "strata); give 2 or more different ones in a stratum"
        )
    return _balance(agree)


def stratified_tau_p(
    x: Sequence[float],
    y: Sequence[float],
    strata: Sequence[Hashable],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> float:
    """Two-sided p of `stratified_tau` by ``draws`` random orders of ``y`` within each stratum.

    (1 + hits) / (1 + draws), where a hit is a tau at least as far from 0 as the one seen (Phipson
    and Smyth 2010).  Under the null the values of a stratum are exchangeable: where they are of
    one network (its internal classifiers), it describes that run and is no test over runs.

    Raises:
        ConfigError: as `stratified_tau`, or ``draws`` below 1.
    """
    if draws < 1:
        raise ConfigError(f"draws is {draws}; give 1 or more, 2000 for two digits")
    seen = abs(stratified_tau(x, y, strata))
    x, y, groups = _checked(x, y, strata)
    pairs, rng, hits = _pairs(x, groups), np.random.default_rng(seed), 0
    for _ in range(draws):
        for group in groups:
            y[group] = rng.permutation(y[group])
        hits += abs(_balance(_agree(y, pairs))) >= seen
    return (1 + hits) / (1 + draws)


def _pairs(x: np.ndarray, groups: Sequence[np.ndarray]) -> _Pairs:
    """Return all pairs of one stratum that ``x`` tells apart."""
    corners = [np.triu_indices(group.size, 1) for group in groups]
    first, second = (
        np.concatenate([group[corner[side]] for group, corner in zip(groups, corners, strict=True)])
        for side in (0, 1)
    )
    sign = _order(x, first, second)
    return first[sign != 0], second[sign != 0], sign[sign != 0]


def _order(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return 1 where the second is larger, -1 where the first is, 0 for a tie."""
    a, b = values[first], values[second]
    return (b > a).astype(np.int8) - (b < a)


def _agree(y: np.ndarray, pairs: _Pairs) -> np.ndarray:
    first, second, sign = pairs
    return sign * _order(y, first, second)


def _balance(agree: np.ndarray) -> float:
    return float(agree.sum(dtype=np.int64) / np.count_nonzero(agree))


def _checked(
    x: Sequence[float], y: Sequence[float], strata: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return both measures, of which y is a copy, and the places of each stratum."""
    x, y, strata = np.array(x, dtype=float), np.array(y, dtype=float), list(strata)
    if x.ndim != 1 or x.shape != y.shape or x.size != len(strata) or not x.size:
        raise ConfigError(
            f"x of shape {x.shape}, y of {y.shape} and {len(strata)} strata must be lists of one "
            "length, 2 or more"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ConfigError(
            f"x {x.tolist()} and y {y.tolist()} must be finite numbers; leave others out"
        )
    places: dict[Hashable, list[int]] = {}
    for place, label in enumerate(strata):
        places.setdefault(label, []).append(place)
    return x, y, [np.array(group) for group in places.values()]
