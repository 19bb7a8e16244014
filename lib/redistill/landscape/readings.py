"""Numbers read off a surface of one direction."""

import numpy as np

from redistill.errors import ConfigError
from redistill.landscape.grid import Surface

_SAME = 1e-9  # steps nearer than this are one


def barrier(along: Surface) -> float:
    """Return how far the loss rises above the straight line between its ends, at most; >= 0.

    Only the points of [0, 1] count.

    Source: Frankle et al. 2020, Linear Mode Connectivity and the Lottery Ticket Hypothesis.

    Raises:
        ConfigError: a surface of two directions, or without the points 0 and 1.
    """
    values = _values(along)
    first, last = (np.flatnonzero(np.abs(along.a - end) < _SAME) for end in (0, 1))
    if not (len(first) and len(last)):
        raise ConfigError(f"a = {along.a.tolist()} lacks 0 or 1; a barrier is between both")
    chord = (1 - along.a) * values[first[0]] + along.a * values[last[0]]
    inner = (along.a > -_SAME) & (along.a < 1 + _SAME)
    return float((values - chord)[inner].max())


def curvature_along(along: Surface) -> float:
    """Return the second difference at the centre: d^T H d, for a small step.

    A loss in float32 is wrong by some 1e-7 of itself, which is divided by the square of the step
    here: too small a step measures rounding.

    Raises:
        ConfigError: a surface of two directions, or one where 0 has no neighbours equally far.
    """
    values, a = _values(along), along.a
    centre = int(np.abs(a).argmin())
    steps = a[centre - 1 : centre + 2]
    if len(steps) < 3 or abs(steps[1]) > _SAME or abs(steps[0] + steps[2]) > _SAME:
        raise ConfigError(f"a = {a.tolist()}; give 0 in the middle of two steps of one size")
    below, here, above = values[centre - 1 : centre + 2].tolist()
    return (below - 2 * here + above) / float(steps[2]) ** 2


def _values(along: Surface) -> np.ndarray:
    if along.loss.shape[1] != 1:
        raise ConfigError(f"a surface of {along.loss.shape} points; give one of one direction")
    return along.loss[:, 0]
