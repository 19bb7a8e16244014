"""Solvers of the eigenvalue problem that see a matrix only through its products."""

from typing import Literal, Protocol

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from redistill.errors import ConfigError

Which = Literal["largest", "smallest", "magnitude"]
ARPACK = {"largest": "LA", "smallest": "SA", "magnitude": "LM"}
ROUNDED = 10  # units of rounding below which no residual of a product comes
SPENT = 1e-12  # of a vector, what is left of it when it lies in the span of others


class Operator(Protocol):
    """What is asked for: a symmetric map of vectors (n,) that counts; ``Product`` is one."""

    size: int
    count: int

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the product (n,)."""
        ...


def arpack(
    product: Operator, k: int, *, basis: int, tol: float, seed: int, which: Which, most: int | None
) -> tuple[Tensor, Tensor]:
    """Return values (k,) and vectors (n, k) by ARPACK; fewer where ``most`` products end first.

    ARPACK holds each residual against its own value, which single precision cannot meet for a
    value far below the largest.  Moved outwards by a length that H has, all values of one end are
    of its size, and the vectors are the same.

    Args:
        product: the matrix.
        k: pairs.
        basis: vectors that ARPACK keeps.
        tol: residual at which a pair has converged, of the size of H; not below its rounding.
        seed: of the first vector, and of another where the first spans too little.
        which: the end of the spectrum.
        most: budget of products, or none.

    Raises:
        ConfigError: a budget below one sweep and one restart.
    """
    n, restart = product.size, basis - k
    least = 2 + 1 + basis + restart  # two to know the size of H; ARPACK maps its first vector
    if most is not None and most < least:
        raise ConfigError(f"{most} products to solve for {k} eigenpairs; give {least} or more")
    generator = np.random.default_rng(seed)
    start = product(torch.from_numpy(generator.standard_normal(n)))
    size = torch.linalg.vector_norm(start.double()).item()
    if not size:  # flat, which ARPACK takes amiss
        return torch.zeros(k).double(), torch.eye(n, k).double()
    start = product(start / size)
    size = torch.linalg.vector_norm(start.double()).item()
    shift = {"largest": size, "smallest": -size, "magnitude": 0.0}[which]

    def times(x: np.ndarray) -> np.ndarray:
        x = x.reshape(n)
        return product(torch.from_numpy(x)).double().cpu().numpy() + shift * x

    try:
        values, vectors = eigsh(
            LinearOperator((n, n), times, dtype=np.float64),
            k=k,
            which=ARPACK[which],
            v0=start.double().cpu().numpy(),
            ncv=basis,
            # Of a value that has moved: it may be twice as large.
            tol=max(tol / 2, ROUNDED * torch.finfo(start.dtype).eps),
            maxiter=None if most is None else (most - least) // restart + 1,
            rng=generator,
        )
    except ArpackNoConvergence as stopped:
        values, vectors = stopped.eigenvalues, stopped.eigenvectors
    return torch.from_numpy(values - shift), torch.from_numpy(vectors).reshape(n, len(values))


def dense(product: Operator, k: int, which: Which) -> tuple[Tensor, Tensor]:
    """Return values (k,) and vectors (n, k) from all n columns."""
    columns = [product(unit).double().cpu() for unit in torch.eye(product.size).double()]
    hessian = torch.stack(columns, 1)
    values, vectors = torch.linalg.eigh((hessian + hessian.T) / 2)  # rising
    reach = {"largest": values, "smallest": -values, "magnitude": values.abs()}[which]
    chosen = reach.argsort(descending=True)[:k]
    return values[chosen], vectors[:, chosen]


def outside(product: Operator, vectors: Tensor, start: Tensor, steps: int) -> Tensor:
    """Return the Ritz values of P H P, P orthogonal to ``vectors``, from ``start``."""
    known = list(torch.linalg.qr(vectors).Q.T)
    alphas, betas = [], []
    new = start
    for step in range(steps):
        whole = torch.linalg.vector_norm(new)
        for _ in range(2):  # once leaves rounding behind
            for vector in known:
                new = new - vector * (vector @ new)
        length = torch.linalg.vector_norm(new)
        if length <= SPENT * whole:
            break
        if step:
            betas.append(length)
        known.append(new / length)
        new = product(known[-1]).to(start)
        alphas.append(known[-1] @ new)
    t = torch.diag(torch.stack(alphas))
    for i, beta in enumerate(betas):
        t[i, i + 1] = t[i + 1, i] = beta
    return torch.linalg.eigvalsh(t).cpu()
