r"""The spectrum loss: a student imitates how its teacher's features vary over time.

With the spectra $X$ of both networks, the multiplicity $m$ of each bin and the band $w$,

$$L_{FSD} = \frac1N \sum_n \sum_{k,c} w_k\, m_k\, d(\hat X^s_{nkc}, \hat X^t_{nkc}), \qquad
\hat X = X \Big/ \Big(\textstyle\sum_{k,c} w_k m_k |X_{kc}|^2\Big)^{1/2},$$

where $d$ is $(|x| - |y|)^2$ unless another component is chosen.  Each clip is normalised by what
the band holds: a loss on what varies in time would else see the 3 to 20 % of the energy that are
left beside the constant bin (spec/corrections.md 5).

Source: spec/spectrum.md 2.  Only "the student mimics the teacher's temporal frequency spectrum"
is certain; every part of the formula is a reading and can be set.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from redistill.errors import ConfigError, nearest
from redistill.losses.spectrum.component import COMPONENTS, squared
from redistill.losses.spectrum.signal import SPACES, group_mean, signals
from redistill.losses.spectrum.transform import (
    TRANSFORMS,
    band,
    check_band,
    dct,
    dft,
    exact,
    multiplicity,
)

DISTRIBUTION = "distribution"
CHANNELS = ("linear", "identity", "group_mean")
NORMALISE = ("clip", "none", "channel", "constant")
REDUCTIONS = ("sum_tc", "mean")
DISTANCES = ("squared", "l1")
_TINY = 1e-6  # of a length, beside which it does not count
_LEAST = 1e-6  # share of the energy that every bin has at least: its logarithm has a slope
Project = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class FeatureSpectrum:
    """The spectrum loss of one stage, with every reading a field.

    Attributes:
        space: how places are handled, one of ``signal.SPACES``.
        channels: ``linear``: the student's channels are mapped to the teacher's by ``project``;
            ``identity``: the widths are equal; ``group_mean``: the teacher's channels are averaged
            in as many groups as the student has.
        normalise: ``clip`` as above; ``channel``: each channel of a clip by its own energy;
            ``constant``: by the clip's zero-frequency amplitude; ``none``.
        transform: ``dft`` or ``dct``.
        component: what is compared, one of ``COMPONENTS``, or ``distribution``: the
            Kullback-Leibler divergence of the energy's shares per bin, teacher to student; it
            knows no channels and no scale, so ``channels``, ``normalise``, ``distance`` and
            ``reduction`` do not count.
        phase: lambda of the family between ``amplitude`` (0) and ``complex`` (1).
        bands: which bins count, one of ``transform.BANDS``.
        multiplicity: bins count as often as in the two-sided spectrum; else all alike.
        distance: ``squared``, or ``l1``: the root of each of these distances, smooth at zero.
        reduction: ``sum_tc`` as above, or ``mean``: over frames and channels too.
    """

    space: str = "gap"
    channels: str = "linear"
    normalise: str = "clip"
    transform: str = "dft"
    component: str = "amplitude"
    phase: float = 0.0
    bands: str = "all"
    multiplicity: bool = True
    distance: str = "squared"
    reduction: str = "sum_tc"

    def __post_init__(self) -> None:
        """Refuse what is no reading."""
        known = {
            "space": SPACES, "channels": CHANNELS, "normalise": NORMALISE,
            "transform": TRANSFORMS, "component": (*COMPONENTS, DISTRIBUTION),
            "distance": DISTANCES, "reduction": REDUCTIONS,
        }  # fmt: skip
        for name, choices in known.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(
                    f"{name} = {value!r}: expected one of {', '.join(choices)}."
                    + nearest(value, choices)
                )
        check_band(self.bands)
        if self.component == DISTRIBUTION and self.bands == "dc":
            raise ConfigError(
                "bands = 'dc' holds one bin, whose share of the energy is always 1: the "
                "distribution would teach nothing; take bands = 'all' or 'ac'"
            )
        if not 0 <= self.phase <= 1:
            raise ConfigError(f"phase = {self.phase}: expected from 0 (amplitude) to 1 (complex)")
        if self.phase and self.component != "amplitude":
            raise ConfigError(
                f"phase = {self.phase} lies between amplitude and complex, and component is "
                f"{self.component!r}; take component = 'amplitude'"
            )

    def __call__(self, student: Tensor, teacher: Tensor, project: Project | None = None) -> Tensor:
        """Return the scalar loss.

        Args:
            student: maps (B, C, T, H, W).
            teacher: maps (B, D, T', H', W'); with T' other than T over the same duration, the
                common bins are compared under the norm that makes them comparable (P8).
            project: from (..., C) to (..., D); for ``channels = "linear"``.
        """
        return self.by_bin(student, teacher, project).sum()

    def by_bin(self, student: Tensor, teacher: Tensor, project: Project | None = None) -> Tensor:
        """Return the part of each bin in the loss, (T // 2 + 1,) or with ``dct`` (T,)."""
        with exact(student):
            f_s, f_t = self._aligned(*signals(student, teacher, space=self.space), project)
            x, y, counts = self._spectra(f_s, f_t)
            if self.component == DISTRIBUTION:
                return _divergence(_shares(x, counts), _shares(y, counts))
            each = self._distance(self._normalised(x, counts), self._normalised(y, counts))
            bins = (each * counts[:, None]).sum((1, 2, 4)).mean(0)
        return bins / f_s[0].numel() if self.reduction == "mean" else bins

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return how far two spectra are apart, in each bin and channel."""
        each = COMPONENTS[self.component](x, y)
        if self.phase:
            each = (1 - self.phase) * each + self.phase * COMPONENTS["complex"](x, y)
        return (each + _TINY**2).sqrt() - _TINY if self.distance == "l1" else each

    def _aligned(self, f_s: Tensor, f_t: Tensor, project: Project | None) -> tuple[Tensor, Tensor]:
        """Bring both signals to the same channels."""
        if self.space == "attention" or self.component == DISTRIBUTION:
            return f_s, f_t
        if self.channels == "group_mean":
            f_t = group_mean(f_t, f_s.shape[-1])
        if self.channels == "linear" and project is not None:
            f_s = project(f_s)
        if f_s.shape[-1] != f_t.shape[-1]:
            raise ConfigError(
                f"channels = {self.channels!r}: the student has {f_s.shape[-1]} channels and the "
                f"teacher {f_t.shape[-1]}; take channels = 'linear' and give a map between them"
            )
        return f_s, f_t

    def _spectra(self, f_s: Tensor, f_t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both spectra (B, h, w, K, C) and how often each bin counts, (K,)."""
        frames, others = f_s.shape[3], f_t.shape[3]
        if self.transform == "dct":
            if frames != others:
                raise ConfigError(
                    f"transform = 'dct' compares clips of one length, not of {frames} and {others} "
                    "frames; take transform = 'dft'"
                )
            x, y = dct(f_s), dct(f_t)
            counts = torch.ones(frames)
        else:
            norm = "ortho" if frames == others else "forward"
            bins = min(frames, others) // 2 + 1
            x, y = (dft(f, norm=norm)[..., :bins, :] for f in (f_s, f_t))
            counts = multiplicity(min(frames, others)) if self.multiplicity else torch.ones(bins)
        if self.space == "volume":
            x, y = (torch.fft.fft2(z, dim=(1, 2), norm="ortho") for z in (x, y))
        counts = counts.double() * band(self.bands, len(counts))
        return x, y, counts.to(f_s)

    def _normalised(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return a spectrum of length one; one that is but rounding noise stays as it is.

        To divide by noise, or by a floor below it, would make a gradient as large as its inverse.
        """
        if self.normalise == "none":
            return x
        energy = squared(x)
        over = (1, 2, 3) if self.normalise == "channel" else (1, 2, 3, 4)
        counted = energy[..., :1, :] if self.normalise == "constant" else energy * counts[:, None]
        total, whole = (part.sum(over, keepdim=True) for part in (counted, energy))
        return x / torch.where(_heard(total, whole), total, torch.ones_like(total)).sqrt()


def _shares(x: Tensor, counts: Tensor) -> Tensor:
    """Return each bin's share of a clip's energy inside the band, (B, K)."""
    energy = squared(x).sum((1, 2, 4))
    total, whole = ((energy * n).sum(1, keepdim=True) for n in (counts, torch.ones_like(counts)))
    energy = energy + torch.where(_heard(total, whole), _LEAST * total, torch.ones_like(total))
    return energy * counts / (energy * counts).sum(1, keepdim=True)


def _heard(total: Tensor, whole: Tensor) -> Tensor:
    """Tell which energies are more than rounding noise beside the whole."""
    return total > _TINY**2 * whole + _TINY**4


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the part of each bin in KL(teacher || student), mean over clips, (K,)."""
    inside = teacher > 0
    ratio = torch.where(inside, teacher, 1.0).log() - torch.where(inside, student, 1.0).log()
    return (teacher * ratio).mean(0)
