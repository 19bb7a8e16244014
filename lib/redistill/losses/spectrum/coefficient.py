r"""Other readings of "parameter distribution": the values of the coefficients, not their energy.

- ``quantiles``: at each frequency, coefficients over their stage's root mean square; mean distance
  of 32 quantiles, a 1-Wasserstein distance.
- ``moments``: at each frequency, squared difference of log-variance and of kurtosis.
- ``lowpass``: squared difference of the low coefficients themselves, channels averaged in groups.
- ``flat``: amplitudes of the flattened weights' 2-D DFT, as later public code does it; it depends
  on the order of filters.

Source: spec/spectrum.md 3.2.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from redistill.errors import ConfigError
from redistill.losses.rows import full
from redistill.losses.spectrum.kernel import check_kernels, kernel_dct
from redistill.nets.averaging import averaging

Stage = Sequence[Tensor]
QUANTILES = 32
_LOW = 2  # of u + v
_SHARE = 0.5  # of the flat spectrum
_TINY = 1e-12


def coefficients(kernels: Stage) -> Tensor:
    """Return all DCT coefficients of a stage over their root mean square, (N, k * k)."""
    check_kernels(kernels)
    rows = torch.cat([kernel_dct(layer).flatten(0, -3).flatten(1) for layer in kernels])
    energy = rows.square().mean()
    return rows / torch.where(energy > 0, energy, torch.ones_like(energy)).sqrt()


def quantiles(student: Stage, teacher: Stage) -> Tensor:
    """Return the mean distance of quantiles at the same frequency."""
    ours, theirs = coefficients(student), coefficients(teacher)
    at = (torch.arange(QUANTILES).to(ours) + 0.5) / QUANTILES
    return (ours.quantile(at, dim=0) - theirs.quantile(at, dim=0)).abs().mean()


def moments(student: Stage, teacher: Stage) -> Tensor:
    """Return the mean squared difference of log-variance and kurtosis at the same frequency."""
    return (_moments(coefficients(student)) - _moments(coefficients(teacher))).square().mean()


def _moments(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    variance = centred.square().mean(0) + _TINY
    return torch.stack([variance.log(), centred.pow(4).mean(0) / variance.square() - 3])


def lowpass(student: Stage, teacher: Stage) -> Tensor:
    """Return the mean squared difference of low coefficients; the last layers are paired.

    Both sides' filters and inputs are averaged in as many groups as the narrower has.
    """
    k = check_kernels([*student, *teacher])
    place = torch.arange(k)
    low = (place[:, None] + place <= _LOW).to(student[0].device)
    each = []
    for own, other in zip(reversed(student), reversed(teacher), strict=False):
        size = [min(a, b) for a, b in zip(own.shape[:2], other.shape[:2], strict=True)]
        ours, theirs = (_grouped(full(x), size) for x in (own, other))
        each.append((kernel_dct(ours) - kernel_dct(theirs))[..., low].square().mean())
    return torch.stack(each).mean()


def _grouped(kernels: Tensor, size: Sequence[int]) -> Tensor:
    for axis, wanted in enumerate(size):
        if kernels.shape[axis] != wanted:
            matrix = averaging(kernels.shape[axis], wanted).to(kernels)
            kernels = (kernels.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return kernels


def flat(student: Stage, teacher: Stage) -> Tensor:
    """Return the divergence of flat amplitude spectra, teacher to student.

    Raises:
        ConfigError: layers of different shapes.
    """
    shapes = [[tuple(x.shape) for x in stage] for stage in (student, teacher)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"the flat spectrum needs layers of equal shapes; the student has {shapes[0]}, the "
            f"teacher {shapes[1]}: take networks of one kind and width, or another statistic"
        )
    ours, theirs = _flat(student), _flat(teacher)
    return (theirs * (theirs / ours).log()).sum()


def _flat(kernels: Stage) -> Tensor:
    parts = []
    for layer in kernels:
        spectrum = torch.fft.fft2(full(layer).flatten(1))
        parts.append((spectrum.real.square() + spectrum.imag.square() + _TINY).sqrt().flatten())
    every = torch.cat(parts)
    kept = every[: max(1, int(_SHARE * len(every)))]
    return kept / kept.sum()


COEFFICIENTS: Mapping[str, Callable[[Stage, Stage], Tensor]] = {
    "quantiles": quantiles, "moments": moments, "lowpass": lowpass, "flat": flat,
}  # fmt: skip
