r"""Extreme eigenvalues of a Hessian, each with its certificate.

$$r_i = \lVert H v_i - \lambda_i v_i \rVert, \qquad
  |\lambda_i - \lambda| \le \min\bigl(r_i,\; r_i^2 / \mathrm{gap}_i\bigr)$$

for some eigenvalue $\lambda$ of $H$ (Parlett 1980, The Symmetric Eigenvalue Problem, 4.5 and 11.7).
A residual alone is no certificate: copies of one eigenvalue all have small ones, so the vectors
must be orthogonal too (spec/anchors.md F9); nor do the two show that none is missing, so a few
Lanczos steps look for one in what is orthogonal to all vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from redistill.curvature.product import drawn
from redistill.curvature.solvers import Operator, Which, arpack, dense, outside
from redistill.errors import ConfigError, RunError

BASIS = 20  # vectors ARPACK keeps, at least
GHOST = 1e-2  # cosine from which two vectors are no longer two directions
ROUNDING = 8  # units of the weights' rounding, of the largest value, that a bound always holds
LOOK = 8  # Lanczos steps in what is orthogonal to the vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class Eigenpairs:
    """Eigenvalues, falling, with their vectors and what is known of their errors."""

    values: Tensor  # (k,) float64, falling, on the CPU
    vectors: Tensor  # (n, k) float64, columns of length 1
    images: Tensor  # (n, k) float64, H V
    residuals: Tensor  # (k,) |H v - value v|
    bounds: Tensor  # (k,) how far an eigenvalue of H can be from the value
    orthogonality: float  # largest |v_i . v_j|, i != j; 0 where there is one vector
    certified: tuple[bool, ...]  # residual within the tolerance, and none found to be missing
    beyond: float | None  # a value found outside the vectors that should be among these
    wanted: int  # pairs asked for; fewer are here if the budget of products ended first
    products: int  # made for all this


def eigenpairs(
    product: Operator,
    k: int = 5,
    *,
    tol: float = 1e-3,
    seed: int = 0,
    which: Which = "largest",
    most: int | None = None,
    look: int = LOOK,
) -> Eigenpairs:
    """Return ``k`` extreme eigenpairs by ARPACK (SciPy's ``eigsh``), certified.

    Problems so small that ARPACK would need as many products as there are weights are solved
    densely.

    Args:
        product: H, or D H D.
        k: pairs; all n where there are no more.
        tol: residual allowed, of the largest |value|; the error of a value is about its square.
        seed: of the first vector.
        which: the algebraically largest or smallest, or the largest in magnitude.
        most: budget of products, certificates included; none: as many as it takes.  Where it ends
            first, what has converged is returned, and nothing of it is certified: it need not be
            the extreme.
        look: Lanczos steps that look for a missing pair; 0: no look.

    Raises:
        ConfigError: a number of pairs below 1, or too small a budget for ARPACK's first steps.
        RunError: two vectors that are one direction.
    """
    before = product.count
    k = min(k, product.size)
    if k < 1:
        raise ConfigError(f"{k} eigenpairs were asked for; ask for 1 or more")
    basis = max(2 * k + 1, BASIS)
    if product.size <= basis:
        values, vectors = dense(product, k, which)
    else:
        left = None if most is None else most - k - look
        values, vectors = arpack(
            product, k, basis=basis, tol=tol, seed=seed, which=which, most=left
        )
    pairs = certify(product, values, vectors, tol=tol, which=which)
    if len(values) < k:
        pairs = replace(pairs, certified=(False,) * len(values), wanted=k)
    elif look and k < product.size:
        pairs = look_beyond(product, pairs, tol=tol, seed=seed, which=which, steps=look)
    return replace(pairs, products=product.count - before)


def certify(
    product: Operator, values: Tensor, vectors: Tensor, *, tol: float, which: Which = "largest"
) -> Eigenpairs:
    """Return any solver's pairs with one fresh product for each, and what follows from it.

    The bound r^2 / gap takes the gap from the value to the nearest other one, less that one's
    residual, and holds if no pair between the extreme ones is missing.  Beyond the last value
    nothing is known, so its bound is r.  Rounding of the products is added to every bound.

    Args:
        product: H, or D H D.
        values: (k,), in any order.
        vectors: (n, k), of any length.
        tol: residual allowed, of the largest |value|.
        which: the end of the spectrum that the pairs are claimed to be.

    Raises:
        RunError: two vectors that are one direction: the copies ("ghosts") that Lanczos makes of
            one pair when its vectors lose orthogonality.
    """
    before = product.count
    order = torch.as_tensor(values).double().cpu().argsort(descending=True)
    values = torch.as_tensor(values).double().cpu()[order]
    vectors = vectors.double()[:, order.to(vectors.device)]
    vectors = vectors / torch.linalg.vector_norm(vectors, dim=0)
    overlap = _overlap(values, vectors)
    images = [product(vector) for vector in vectors.T]
    dtype = images[0].dtype if images else torch.float64
    images = torch.stack([i.double() for i in images], 1) if images else vectors.clone()
    vectors = vectors.to(images.device)
    away = images - vectors * values.to(images.device)
    residuals = torch.linalg.vector_norm(away, dim=0).cpu()
    largest = values.abs().max().item() if len(values) else 0.0
    rounding = ROUNDING * torch.finfo(dtype).eps * largest
    quotients = (vectors * images).sum(0).cpu()
    bounds = _bounds(values, residuals, quotients, which, len(values) == product.size)
    return Eigenpairs(
        values=values,
        vectors=vectors,
        images=images,
        residuals=residuals,
        bounds=bounds + rounding,
        orthogonality=overlap,
        certified=tuple((residuals <= tol * largest).tolist()),
        beyond=None,
        wanted=len(values),
        products=product.count - before,
    )


def look_beyond(
    product: Operator, pairs: Eigenpairs, *, tol: float, seed: int, which: Which, steps: int
) -> Eigenpairs:
    """Return ``pairs``, uncertified if ``steps`` Lanczos steps find that one is missing.

    From a random vector they move in what is orthogonal to all vectors.  A value there that lies
    further out than the last of the pairs, by more than the tolerance, belongs among them: another
    copy of a multiple eigenvalue, say, which a smaller tolerance may bring in.  To find none is
    evidence, not proof.
    """
    sign = -1.0 if which == "smallest" else 1.0
    reach: Callable[[Tensor], Tensor] = (
        torch.abs if which == "magnitude" else (lambda values: sign * values)
    )
    before = product.count
    start = drawn(seed, pairs.wanted, product.size).to(pairs.vectors)
    found = outside(product, pairs.vectors, start, min(steps, product.size - len(pairs.values)))
    made = pairs.products + product.count - before
    furthest = found[reach(found).argmax()]
    room = tol * pairs.values.abs().max() + pairs.bounds.max()
    if reach(furthest) <= reach(pairs.values).min() + room:
        return replace(pairs, products=made)
    none = (False,) * len(pairs.values)
    return replace(pairs, certified=none, beyond=furthest.item(), products=made)


def _overlap(values: Tensor, vectors: Tensor) -> float:
    """Return the largest cosine between two vectors, or refuse a ghost."""
    cosines = (vectors.T @ vectors).abs().fill_diagonal_(0)
    if not cosines.numel():
        return 0.0
    i, j = divmod(int(cosines.argmax()), len(values))
    if cosines[i, j] > GHOST:
        raise RunError(
            f"eigenvectors {i} and {j} (values {values[i]:.6g} and {values[j]:.6g}) overlap by "
            f"{cosines[i, j]:.3g}, at most {GHOST:g} is allowed: one of them is a ghost, a copy "
            "that lost orthogonality; use a solver that keeps its vectors orthogonal"
        )
    return cosines[i, j].item()


def _bounds(
    values: Tensor, residuals: Tensor, quotients: Tensor, which: Which, complete: bool
) -> Tensor:
    """Return (k,): how far an eigenvalue can be, but for rounding."""
    bounds = []
    for i, value in enumerate(values):
        known = (values - value).abs() - residuals
        known[i] = torch.inf
        gap = known.min()
        if not complete:
            gap = torch.minimum(gap, _to_unknown(i, values, residuals, which))
        # The bound by the gap is of the Rayleigh quotient, whose residual is the smallest.
        off = (value - quotients[i]).abs()
        square = (residuals[i] ** 2 - off**2).clamp(min=0)
        near = off + square / gap if gap > 0 else torch.inf
        bounds.append(min(residuals[i].item(), float(near)))
    return torch.tensor(bounds, dtype=torch.float64)


def _to_unknown(i: int, values: Tensor, residuals: Tensor, which: Which) -> Tensor:
    """Return how far value ``i`` is from where unknown eigenvalues may lie."""
    reach = {"largest": values, "smallest": -values, "magnitude": values.abs()}[which]
    last = reach.argmin()
    return reach[i] - reach[last] - residuals[last]
