r"""The trace of a Hessian, deflated by its largest eigenpairs, with its interval.

$$\mathrm{tr}\,H = \mathrm{tr}(V^\top H V) + E\bigl[z^\top P H P z\bigr], \qquad P = I - V V^\top,
  \quad z_i = \pm 1$$

exact for any orthonormal $V$, at one product a probe $z$; what $V$ holds is known without error,
and the rest varies less.  The same products give weighted sums of the diagonal,

$$\sum_i a_i H_{ii} = \mathrm{tr}(A\,HV\,V^\top) + E\bigl[z^\top P A H P z\bigr],$$

exact as well since $\mathrm{tr}(PAHP) = \mathrm{tr}(AHP)$: of a stage (a is 1 on its weights, 0
elsewhere), or in a unit for each weight.

Source: Hutchinson 1990; the deflation as in Meyer et al. 2021 (Hutch++) and Gambhir et al. 2017.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats as distributions
from torch import Tensor

from redistill import stats
from redistill.curvature.eigen import Eigenpairs
from redistill.curvature.kept import digest, rows
from redistill.curvature.product import drawn
from redistill.curvature.solvers import Operator
from redistill.errors import ConfigError
from redistill.stats import Interval

MOST = 10_000  # above this, "more probes" is no longer an answer


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A trace with its 95 % interval."""

    interval: Interval  # Student t over the probes
    stderr: float
    probes: int
    deflated: float  # what the eigenpairs hold of it, without error
    needed: int | None  # probes for the precision asked for; None: more than 10,000
    products: int  # one a probe; those of the eigenpairs are not among them
    also: Mapping[str, Interval]  # the weighted diagonals, by name


def trace(
    product: Operator,
    *,
    probes: int = 30,
    precision: float = 0.05,
    pairs: Eigenpairs | None = None,
    also: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    folder: Path | None = None,
) -> Trace:
    """Return the trace of a Hessian, and weighted sums of its diagonal, by random probes.

    Args:
        product: H, or D H D.
        probes: two or more; each is one product.
        precision: half-width of the interval, as a share of the trace, that ``needed`` is for.
        pairs: to deflate by; none: plain Hutchinson.
        also: weights a (n,), by name; no product more.
        seed: of the probes; each depends on it and its own number alone.
        folder: of this loss; probes found there are not made again.

    Raises:
        ConfigError: fewer than two probes, or weights that do not fit.
    """
    if probes < 2:
        raise ConfigError(f"{probes} probes have no interval; give 2 or more")
    weights = dict(also or {})
    for name, a in weights.items():
        if a.shape != (product.size,):
            raise ConfigError(
                f"weights {name!r} have the shape {tuple(a.shape)}; give ({product.size},)"
            )
    deflation = _Deflation(product, pairs)
    options = {
        "seed": seed,
        "scale": digest(getattr(product, "scale", None)),
        "deflation": digest(deflation.basis),
        "also": {name: digest(a) for name, a in weights.items()},
    }
    made = rows(
        folder,
        "trace",
        options,
        probes,
        lambda number: deflation.probe(drawn(seed, number, product.size), weights),
    )
    interval = _around(deflation.held, [row["rest"] for row in made])
    return Trace(
        interval=interval,
        stderr=interval.sd / probes**0.5,
        probes=probes,
        deflated=deflation.held,
        needed=_needed(interval, precision),
        products=probes,
        also={
            name: _around(deflation.held_of(a), [row["also"][name] for row in made])
            for name, a in weights.items()
        },
    )


class _Deflation:
    """What the eigenpairs hold of the diagonal, and probes of the rest."""

    def __init__(self, product: Operator, pairs: Eigenpairs | None) -> None:
        self.product = product
        if pairs is None or not len(pairs.values):
            self.basis = self.images = torch.zeros(product.size, 0, dtype=torch.float64)
        else:  # of vectors that are orthogonal but for rounding, or less, an orthonormal basis
            self.basis, r = torch.linalg.qr(pairs.vectors)
            self.images = torch.linalg.solve_triangular(r, pairs.images, upper=True, left=False)
        self.diagonal = (self.basis * self.images).sum(1)
        self.held = self.diagonal.sum().item()

    def held_of(self, a: Tensor) -> float:
        """Return tr(A HV V^T)."""
        return float(a.to(self.diagonal) @ self.diagonal)

    def probe(self, z: Tensor, weights: Mapping[str, Tensor]) -> dict[str, object]:
        """Return z.PHPz and each z.PAHPz of one probe."""
        z = z.to(self.basis)
        outside = z - self.basis @ (self.basis.T @ z)
        image = self.product(outside).double().to(z.device)
        return {
            "rest": float(outside @ image),
            "also": {name: float((outside * a.to(z)) @ image) for name, a in weights.items()},
        }


def _around(held: float, rest: Sequence[float]) -> Interval:
    found = stats.paired_interval(rest)
    mean, low, high = (held + x for x in (found.mean, found.low, found.high))
    return replace(found, mean=mean, low=low, high=high)


def _needed(interval: Interval, precision: float) -> int | None:
    """Return the fewest probes whose interval would be as narrow as asked for."""
    probes = np.arange(2, MOST + 1)
    halves = distributions.t.ppf(0.975, probes - 1) * interval.sd / np.sqrt(probes)
    enough = np.flatnonzero(halves <= precision * abs(interval.mean))
    return int(probes[enough[0]]) if len(enough) else None
