r"""The spectral density of a Hessian, by PyHessian's own stochastic Lanczos quadrature.

$$\varphi(x) = E_v\Bigl[\sum_i w_i\, \delta(x - \theta_i)\Bigr], \qquad
  \sum_i w_i \theta_i^m = v^\top H^m v$$

for each random $v$ of length 1, with the eigenvalues $\theta$ of Lanczos' tridiagonal matrix and
the squared first entries $w$ of its eigenvectors.

``torch.eig``, which PyHessian 0.1 ends with, is gone from torch.  Its code runs unchanged with a
substitute for ``torch`` in its module, and on c H for H: it adds 1e-6 to every length that it
divides by, so on a flat loss its vectors would come out short.  c makes the lengths large.

Source: Ghorbani et al. 2019, An Investigation into Neural Net Optimization; Yao et al. 2020,
PyHessian.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from redistill.curvature.kept import digest, rows
from redistill.curvature.loss import flat
from redistill.curvature.product import Product, free_memory, seed_of
from redistill.errors import ConfigError

LENGTH = 1e6  # of c H v: 1e-6 beside it is below single precision's rounding
AGREE = 1e-3  # of a moment's scale, how far the two may be apart; also the largest cosine allowed
WHOLE = 0.98  # square of the length below which a vector is not of length 1
ROOM = 0.8  # of the free memory that the vectors may take
MORE = 8  # vectors besides those of Lanczos


@dataclass(frozen=True, kw_only=True, eq=False)
class Density:
    """The spectrum as P probes see it, S nodes each."""

    nodes: Tensor  # (P, S) float64, rising
    weights: Tensor  # (P, S) float64, sum 1
    moments: Tensor  # (P, 3) of the quadrature, first to third
    direct: Tensor  # (P, 3) v.Hv, |Hv|^2, Hv.H(Hv), from products of their own
    overlaps: Tensor  # (P,) largest cosine between two of Lanczos' vectors
    products: int

    @property
    def certified(self) -> bool:
        """Whether moments agree and vectors were orthogonal, for every probe.

        The first moments know only Lanczos' first steps; that the later ones are right too is
        what the overlaps are for.
        """
        scales = torch.stack([(self.weights * self.nodes.abs() ** m).sum(1) for m in (1, 2, 3)], 1)
        agree = (self.moments - self.direct).abs() <= AGREE * scales
        return bool(agree.all() and (self.overlaps <= AGREE).all())

    def smoothed(self, grid: Tensor, width: float) -> Tensor:
        """Return (P, G): each probe's density at ``grid`` (G,), nodes as Gaussians.

        Args:
            grid: eigenvalues.
            width: standard deviation of a Gaussian, in their unit.
        """
        away = (grid.double() - self.nodes[..., None]) / width  # (P, S, G)
        heights = torch.exp(-(away**2) / 2) / (width * (2 * torch.pi) ** 0.5)
        return (self.weights[..., None] * heights).sum(1)


def density(
    product: Product, *, steps: int = 40, probes: int = 3, seed: int = 0, folder: Path | None = None
) -> Density:
    """Return the spectral density of a Hessian by ``probes`` runs of Lanczos.

    Args:
        product: H, or D H D.
        steps: of Lanczos, one product each; at most n.  All their vectors are kept.
        probes: runs, each from a random vector of its own, and two products more to check it.
        seed: of the probes; each depends on it and its own number alone.
        folder: of this loss; probes found there are not made again.

    Raises:
        ConfigError: no step or probe, or vectors that do not fit into the free memory.
    """
    if steps < 1 or probes < 1:
        raise ConfigError(f"{steps} steps of {probes} probes are no density; give 1 or more")
    steps = min(steps, product.size)
    _check_room(product, steps)
    options = {"seed": seed, "steps": steps, "scale": digest(product.scale)}
    made = rows(
        folder,
        "density",
        options,
        probes,
        lambda number: _probe(product, steps, seed_of(seed, number)),
    )
    columns = {
        key: torch.tensor([row[key] for row in made], dtype=torch.float64) for key in made[0]
    }
    powers = [(columns["weights"] * columns["nodes"] ** m).sum(1) for m in (1, 2, 3)]
    return Density(**columns, moments=torch.stack(powers, 1), products=probes * (steps + 2))


class _Watched:
    """PyHessian's product, c times as long, and the vectors it was asked for."""

    def __init__(self, product: Product) -> None:
        self.times = product.dataloader_hv_product
        self.factor = 0.0  # c; 0: not known yet
        self.asked: list[Sequence[Tensor]] = []  # PyHessian keeps the same tensors: no memory
        self.overlaps: list[Tensor] = []
        self.spent = False  # what Lanczos does from there on has no weight

    def __call__(self, v: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        """Return c v.Hv and c Hv."""
        if _dot(v, v) < WHOLE:  # PyHessian's 1e-6 shows: nothing new is left for it to find
            self.spent = True
        if not self.spent:
            self.overlaps += [_dot(v, earlier).abs() for earlier in self.asked]
        self.asked.append(v)
        value, image = self.times(v)
        if not self.factor:
            length = _dot(image, image).sqrt().item()
            self.factor = LENGTH / length if length else 1.0
        return value * self.factor, [part.mul_(self.factor) for part in image]


def _probe(product: Product, steps: int, seed: int) -> dict[str, Any]:
    """Return nodes, weights, direct moments and overlap of one random vector, as JSON."""
    watched = _Watched(product)
    with _torch_that_has_eig(), _seeded(product.device, seed):
        product.dataloader_hv_product = watched  # hides the method from PyHessian's density
        try:
            nodes, weights = product.density(iter=steps, n_v=1)
        finally:
            del product.dataloader_hv_product
    v = flat(watched.asked[0])
    once = product(v)
    twice = product(once)
    v, once, twice = (x.double() for x in (v, once, twice))
    direct = torch.stack([v @ once, once @ once, once @ twice]) / (v @ v)
    return {
        "nodes": [float(node) / watched.factor for node in nodes[0]],
        "weights": [float(weight) for weight in weights[0]],
        "direct": direct.tolist(),
        "overlaps": max((x.item() for x in watched.overlaps), default=0.0),
    }


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    pairs = zip(left, right, strict=True)
    return torch.stack([a.double().flatten() @ b.double().flatten() for a, b in pairs]).sum()


class _Torch:
    """torch, with the ``eig`` that PyHessian knows, and its small matrix in double precision."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    zeros = staticmethod(partial(torch.zeros, dtype=torch.float64))

    @staticmethod
    def eig(matrix: Tensor, eigenvectors: bool) -> tuple[Tensor, Tensor]:
        """Return (real, imaginary) parts (S, 2) and eigenvectors, of a symmetric matrix."""
        values, vectors = torch.linalg.eigh(matrix)
        return torch.stack([values, torch.zeros_like(values)], 1), vectors


@contextmanager
def _torch_that_has_eig() -> Iterator[None]:
    module = sys.modules["pyhessian.hessian"]  # the name in the package is the class
    module.torch = _Torch()
    try:
        yield
    finally:
        module.torch = torch


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generator that vectors on ``device`` are drawn from, and put it back."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        torch.default_generator.manual_seed(seed)
        yield


def _check_room(product: Product, steps: int) -> None:
    size = next(iter(product.loss.weights.values())).element_size()
    need, free = (steps + MORE) * product.size * size, free_memory(product.device)
    if need > ROOM * free:
        raise ConfigError(
            f"{steps} steps keep {steps} vectors of {product.size} numbers, "
            f"{need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free; lower steps"
        )
