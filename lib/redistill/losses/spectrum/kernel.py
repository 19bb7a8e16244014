r"""The frequency distribution of a stage's parameters, and how far two of them are apart.

Every k x k kernel W of a stage is transformed over space, $\hat W = D W D^\top$ with the
orthonormal DCT-II, and

$$E_{uv} = \operatorname{mean}_{\text{layers}} \frac{\sum_{o,i} \hat W_{oi,uv}^2}
{\sum_{o,i,u,v} \hat W_{oi,uv}^2}, \qquad
p_{uv} = \frac{E_{uv} + \varepsilon}{\sum (E + \varepsilon)}, \qquad
L_{PDD} = \sum_{uv} p^t_{uv} \log \frac{p^t_{uv}}{p^s_{uv}}.$$

Each layer is normalised first, or one large layer would decide.  The distribution knows neither
channels nor layers, so teacher and student need agree in k alone; and no scale, so it does not
fight weight decay.  It is computed from the live weights: on ``.data`` it would have a value and
no gradient.

Source: spec/spectrum.md 3.1 and 3.2.  Only "the frequency distribution of the parameters" is
certain; this is a reading.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.errors import ConfigError
from redistill.losses.rows import full
from redistill.losses.spectrum.transform import dct_matrix

EPSILON = 1e-12  # share of the energy that every frequency has at least
LAYERS = ("normalised", "pooled")
_SMALLEST = 3


def kernel_dct(kernels: Tensor) -> Tensor:
    """Return the orthonormal two-dimensional DCT-II of (..., k, k) kernels."""
    side, kernels = _side(kernels), full(kernels)
    return (kernels.flatten(-2) @ _both_axes(side).to(kernels)).unflatten(-1, (side, side))


@cache
def _both_axes(side: int) -> Tensor:
    """Return the transform over both axes as one matrix: one product for all kernels."""
    matrix = dct_matrix(side)
    return torch.kron(matrix, matrix).T


def _dft_energy(kernels: Tensor) -> Tensor:
    spectrum = torch.fft.fft2(full(kernels), norm="ortho")
    return spectrum.real.square() + spectrum.imag.square()


ENERGIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "dct": lambda kernels: kernel_dct(kernels).square(),
    "dft": _dft_energy,
}


def energy_shares(
    kernels: Sequence[Tensor], *, transform: str = "dct", layers: str = "normalised"
) -> Tensor:
    """Return the share p of the energy at each frequency, (k, k), adding up to 1.

    Args:
        kernels: of the layers of one stage, (O, I, k, k) each; one k for all.
        transform: ``dct``, or ``dft`` (symmetric, so fewer of the shares differ).
        layers: ``normalised``: each layer counts alike; ``pooled``: all kernels count alike.

    Raises:
        ConfigError: no kernels, kernels of several sizes, or of side 1, which know no frequency.
    """
    check_kernels(kernels)
    each = torch.stack([ENERGIES[transform](w).flatten(0, -3).sum(0) for w in kernels])
    return _shares((each / _total(each) if layers == "normalised" else each).sum(0))


def _shares(energy: Tensor) -> Tensor:
    """Return energies as shares that add up to 1, none of them 0."""
    energy = energy + EPSILON * _total(energy)
    return energy / energy.sum()


def _total(energy: Tensor) -> Tensor:
    """Return the sum, or 1 of a layer that is all zero: it has no frequencies, and no NaN."""
    total = energy.sum((-2, -1), keepdim=True)
    return torch.where(total > 0, total, torch.ones_like(total))


def radial(shares: Tensor) -> Tensor:
    """Return the shares of (k, k) summed over rings round(sqrt(u^2 + v^2)): transposition goes."""
    place = torch.arange(len(shares), dtype=torch.float64, device="cpu")
    rings = (place.square()[:, None] + place.square()).sqrt().round().long()
    return (F.one_hot(rings).to(shares) * shares[..., None]).sum((0, 1))


def _kl(student: Tensor, teacher: Tensor) -> Tensor:
    return (teacher * (teacher / student).log()).sum()


def _js(student: Tensor, teacher: Tensor) -> Tensor:
    middle = (student + teacher) / 2
    return (_kl(middle, student) + _kl(middle, teacher)) / 2


DIVERGENCES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": _kl,
    "reverse_kl": lambda student, teacher: _kl(teacher, student),
    "js": _js,
    "l2": lambda student, teacher: (student - teacher).square().sum(),
    "hellinger": lambda student, teacher: (student.sqrt() - teacher.sqrt()).square().sum() / 2,
}


def check_kernels(kernels: Sequence[Tensor]) -> int:
    """Return the side that all kernels of a stage have, or refuse them."""
    sides = {_side(layer) for layer in kernels}
    if len(sides) != 1 or min(sides) < _SMALLEST:
        raise ConfigError(
            f"kernels of sides {sorted(sides)}: a distribution of frequencies needs kernels of one "
            "side of at least 3; take the k x k convolutions of one stage"
        )
    return sides.pop()


def _side(kernels: Tensor) -> int:
    if kernels.ndim < 2 or kernels.shape[-1] != kernels.shape[-2]:
        raise ConfigError(f"kernels of shape {tuple(kernels.shape)}: expected (..., k, k)")
    return kernels.shape[-1]
