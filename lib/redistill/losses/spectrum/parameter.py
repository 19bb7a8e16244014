"""The parameter loss of all stages: which statistic of the kernels, and which distance.

Source: spec/spectrum.md 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from redistill.errors import ConfigError, nearest
from redistill.losses.spectrum.coefficient import COEFFICIENTS
from redistill.losses.spectrum.kernel import (
    DIVERGENCES,
    ENERGIES,
    LAYERS,
    check_kernels,
    energy_shares,
    radial,
)
from redistill.losses.spectrum.transform import exact

ENERGY = "energy"
STATISTICS = (ENERGY, "radial", *COEFFICIENTS)
Kernels = Sequence[Mapping[str, Tensor]]  # a stage each, by module path


@dataclass(frozen=True, kw_only=True)
class ParameterSpectrum:
    """The parameter loss, with every reading a field.

    Attributes:
        statistic: ``energy``: shares of energy per frequency; ``radial``: the same, per ring; or
            one of ``COEFFICIENTS``.
        divergence: of shares, one of ``DIVERGENCES``.
        transform: of kernels for ``energy`` and ``radial``: ``dct`` or ``dft``.
        layers: ``normalised`` or ``pooled``, see ``energy_shares``.
    """

    statistic: str = ENERGY
    divergence: str = "kl"
    transform: str = "dct"
    layers: str = "normalised"

    def __post_init__(self) -> None:
        """Refuse what is no reading."""
        known = {
            "statistic": STATISTICS, "divergence": tuple(DIVERGENCES),
            "transform": tuple(ENERGIES), "layers": LAYERS,
        }  # fmt: skip
        for name, choices in known.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(
                    f"{name} = {value!r}: expected one of {', '.join(choices)}."
                    + nearest(value, choices)
                )

    def __call__(self, student: Kernels, teacher: Kernels) -> Tensor:
        """Return the mean over stages that both networks have kernels in, a scalar.

        Args:
            student: of each stage the live kernels, (O, I, k, k) by name.
            teacher: the same of the teacher; no gradient goes there.

        Raises:
            ConfigError: no stage has kernels on both sides.
        """
        return torch.stack(self.by_stage(student, teacher)).mean()

    def by_stage(self, student: Kernels, teacher: Kernels) -> list[Tensor]:
        """Return the distance of each stage."""
        pairs = [
            (list(ours.values()), [kernel.detach() for kernel in theirs.values()])
            for ours, theirs in zip(student, teacher, strict=True)
            if ours and theirs
        ]
        if not pairs:
            raise ConfigError(
                "no stage has kernels of 3 x 3 or more in both networks: there is no distribution "
                "of parameters to compare; take networks of convolutions"
            )
        with exact(pairs[0][0][0]):
            return [self._distance(*pair) for pair in pairs]

    def _distance(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        check_kernels([*student, *teacher])
        if self.statistic in COEFFICIENTS:
            return COEFFICIENTS[self.statistic](student, teacher)
        how = {"transform": self.transform, "layers": self.layers}
        ours, theirs = energy_shares(student, **how), energy_shares(teacher, **how)
        if self.statistic == "radial":
            ours, theirs = radial(ours), radial(theirs)
        return DIVERGENCES[self.divergence](ours, theirs)
