r"""Series over a parameter, each summed up as one number: label shares, gaps, methods x pairs.

The interaction of methods m and teacher-student pairs p is judged over independent runs r, by

$$y_{mpr} = a_{mr} + b_{pr} + c_{mp} + e_{mpr}.$$

Each run is centred over its methods and its pairs, which leaves $R_r = C_M(c + e_r)C_P$ and takes
out all that a run does to a method or a pair as a whole.  Without interaction (c = 0) and with
errors that are exchangeable over the methods of a run, $R_r$ with its rows permuted is
$C_M(\Pi e_r)C_P$ and has the law of $R_r$: a permutation of the methods within each run, the same
for all its pairs, is exact.  Permuting the values themselves is not, since main effects would be
mixed in; nor is permuting each pair by itself, since residuals of one row hang together.

Source: spec/claims.md, S6, S10 and S11.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from redistill.errors import ConfigError

PERMUTATIONS = 9_999


def label_area(fractions: Sequence[float], accuracies: Sequence[float]) -> float:
    """Mean accuracy over the logarithm of the label fraction, by trapezoids; in their unit.

    The area is divided by the range, so that a method as accurate everywhere has that accuracy.

    Args:
        fractions: (n,) of trusted labels, above 0 and rising.
        accuracies: (n,) of the test clips at each of them, points.

    Raises:
        ConfigError: fewer than two fractions, or not as many accuracies, or they do not rise.
    """
    x, y = _series("fractions", fractions, "accuracies", accuracies)
    if x[0] <= 0 or (np.diff(x) <= 0).any():
        raise ConfigError(f"fractions {list(fractions)} must lie above 0 and rise")
    steps = np.diff(np.log(x))
    return float((steps * (y[1:] + y[:-1]) / 2).sum() / steps.sum())


def gap_slope(gaps: Sequence[float], gains: Sequence[float]) -> float:
    """Slope of the least-squares line of ``gains`` (n,) over ``gaps`` (n,): points a unit of gap.

    Raises:
        ConfigError: fewer than two values, not as many of each, or all gaps alike.
    """
    x, y = _series("gaps", gaps, "gains", gains)
    away = x - x.mean()
    if not away.any():
        raise ConfigError(f"gaps {list(gaps)} are all alike; a slope needs two that differ")
    return float(away @ y / (away @ away))


def interaction_share(values: ArrayLike) -> float:
    """Share of the variance within runs that is due to method x pair; below 0 by chance alone.

    (SS_mp - df_mp MS_mpr) / SS_total, where totals are about the mean of each run and MS_mpr is
    the mean square of what neither runs, methods, pairs nor two of them explain.  The numerator
    is unbiased whatever runs do to methods or pairs as a whole.  0 where values never vary.

    Args:
        values: (methods, pairs, runs), 2 or more of each; for example accuracies.

    Raises:
        ConfigError: another shape, or a value that is not finite.
    """
    data = _grid(values)
    return float(_agreements(data).mean() / (_variation(data) or 1.0))


def interaction_parts(values: ArrayLike) -> np.ndarray:
    """Jackknife values (runs,) of `interaction_share`: their mean is the share, exactly.

    Their Student t interval is the jackknife's.  The variance divided by is taken as known.

    Args:
        values: (methods, pairs, runs), at least 3 runs.

    Raises:
        ConfigError: as in `interaction_share`, or fewer than 3 runs.
    """
    data = _grid(values)
    runs = data.shape[2]
    if runs < 3:
        raise ConfigError(f"{runs} runs of methods x pairs; a jackknife needs at least 3")
    agreements = _agreements(data)
    whole = agreements.mean()
    # a mean over pairs of runs: without run r it is (n whole - 2 agreement_r) / (n - 2)
    without = (runs * whole - 2 * agreements) / (runs - 2)
    return (runs * whole - (runs - 1) * without) / (_variation(data) or 1.0)


def interaction_p(values: ArrayLike, *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """One-sided permutation p of no method x pair interaction; exact, as the module explains.

    Residuals have their methods permuted within each run, the same for all pairs.  The values as
    they are count as one permutation, so p is at least 1 / (permutations + 1).

    Args:
        values: (methods, pairs, runs), 2 or more of each.
        permutations: how many are drawn.
        seed: of the draw.

    Raises:
        ConfigError: as in `interaction_share`.
    """
    data = _grid(values)
    residuals = _residuals(data)
    _, methods, pairs = residuals.shape
    rng = np.random.default_rng(seed)
    seen = np.square(residuals.sum(axis=0)).sum()
    total = np.zeros((permutations, methods, pairs))
    for run in residuals:
        order = rng.permuted(np.tile(np.arange(methods), (permutations, 1)), axis=1)
        total += run[order]
    drawn = np.square(total).sum(axis=(1, 2))
    # ties are ties, however they are rounded
    as_much = int((drawn >= seen - 1e-9 * _variation(data)).sum())
    return (1 + as_much) / (1 + permutations)


def rank_changes(values: ArrayLike) -> float:
    """Share of comparisons of two methods that change sides between two pairs; ties change none.

    0 if all pairs rank the methods alike, 1 if two pairs rank them in reverse.

    Args:
        values: (methods, pairs, runs); ranked by their means over runs.

    Raises:
        ConfigError: as in `interaction_share`.
    """
    means = _grid(values).mean(axis=2)
    sides = np.array([np.sign(a - b) for a, b in combinations(means, 2)])
    changed = [(x * y < 0).mean() for x, y in combinations(sides.T, 2)]
    return float(np.mean(changed))


def _agreements(data: np.ndarray) -> np.ndarray:
    """Inner product of each run's residuals with the mean of all others' (runs,)."""
    residuals = _residuals(data)
    others = (residuals.sum(axis=0) - residuals) / (len(residuals) - 1)
    return (residuals * others).sum(axis=(1, 2))


def _residuals(data: np.ndarray) -> np.ndarray:
    """Return what methods and pairs leave of each run, (runs, methods, pairs)."""
    data = data - data.mean(axis=0, keepdims=True)
    data = data - data.mean(axis=1, keepdims=True)
    return np.moveaxis(data, 2, 0)


def _variation(data: np.ndarray) -> float:
    """Sum of squares about the mean of each run, as the mean over runs."""
    return float(np.square(data - data.mean(axis=(0, 1))).sum() / data.shape[2])


def _grid(values: ArrayLike) -> np.ndarray:
    data = np.asarray(values, dtype=float)
    if data.ndim != 3 or min(data.shape) < 2 or not np.isfinite(data).all():
        raise ConfigError(
            f"values of shape {data.shape} must be finite, (methods, pairs, runs), 2 or more each"
        )
    return data


def _series(
    one: str, xs: Sequence[float], other: str, ys: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(xs, dtype=float), np.asarray(ys, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2 or not np.isfinite([x, y]).all():
        raise ConfigError(
            f"{one} {list(xs)} and {other} {list(ys)} must be as many finite numbers, 2 or more"
        )
    return x, y
