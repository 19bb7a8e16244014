r"""Comparison at equal training loss: a ladder of shorter trainings, and a point between two rungs.

A network that fits its training clips less well sits at another height of its loss, where
curvature means something else (spec/corrections.md 2).  So the solutions of a group are compared
at one loss $\ell^*$, that of the worst of those that a claim names.  Each of the others is trained
anew for shares of the steps, every training with its whole schedule of the learning rate, so that
each ends where a training ends; of two neighbouring rungs with $\ell_1 \ge \ell^* \ge \ell_2$
every quantity $q$ is read at

$$q^* = q_1 + \frac{\ell_1 - \ell^*}{\ell_1 - \ell_2}\,(q_2 - q_1).$$
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redistill.methods.solutions import Solution


@dataclass(frozen=True, kw_only=True)
class Between:
    """A place on the way from one rung of a ladder to the next.

    Attributes:
        low: the shorter training, its loss at least ``level``.
        high: the longer one, its loss at most ``level``; the same one where its loss is ``level``.
        level: training loss of the place.
    """

    low: Solution
    high: Solution
    level: float

    @property
    def way(self) -> float:
        """Share of the way from low to high, 0 to 1."""
        drop = self.low.train[0] - self.high.train[0]
        return (self.low.train[0] - self.level) / drop if drop else 0.0

    def read(self, quantity: Callable[[Solution], float]) -> float:
        """Return a quantity there, interpolated along the loss."""
        low = quantity(self.low)
        return low + self.way * (quantity(self.high) - low)


def climb(
    end: Solution, level: float, rung: Callable[[float], Solution], shares: Sequence[float]
) -> Between | None:
    """Return where trainings reach ``level``, from short ones on.

    Args:
        end: of a whole training.
        level: training loss wanted.
        rung: trains for a share of the steps.
        shares: rising, below 1; none is trained that is not needed.

    Returns:
        None where even the shortest training is below the level, or the longest above: then
        nothing can be said.
    """
    if end.train[0] >= level:
        return Between(low=end, high=end, level=level) if end.train[0] == level else None
    low = None
    for share in shares:
        found = rung(share)
        if found.train[0] == level:
            return Between(low=found, high=found, level=level)
        if found.train[0] < level:
            return low and Between(low=low, high=found, level=level)
        low = found
    return low and Between(low=low, high=end, level=level)


def worst(ends: Sequence[Solution]) -> float:
    """Return the largest training loss of a group: the level that all have passed."""
    return max(end.train[0] for end in ends)
