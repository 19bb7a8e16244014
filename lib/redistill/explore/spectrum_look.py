"""How one clip looks to the spectrum loss: its spectra, what each bin adds, and the words for it.

A Fourier transform of a clip's few frames, so nothing need be kept.  The loss is the suite's own,
from inside.

Source: spec/spectrum.md 2.1.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from redistill.explore.spectrum_picture import View
from redistill.losses.spectrum.feature import DISTRIBUTION, FeatureSpectrum
from redistill.losses.spectrum.transform import band, dct_matrix, exact


@dataclass(frozen=True)
class Look:
    """One clip at one stage, as a loss sees it.

    Attributes:
        ours: the student's spectrum, divided as the loss divides it, (K, C).
        theirs: the teacher's.
        parts: what each bin of each channel adds to the loss, (K, C); their sum is the loss.
    """

    ours: np.ndarray
    theirs: np.ndarray
    parts: np.ndarray


@dataclass(frozen=True, kw_only=True)
class LensLoss(FeatureSpectrum):
    """The spectrum loss of one clip that is averaged over space, bin by bin, channel by channel."""

    def look(self, ours: Tensor, theirs: Tensor, bins: Sequence[bool] | None = None) -> Look:
        """Return how a clip looks to this loss.

        Args:
            ours: of the student, in the teacher's channels, (T, C).
            theirs: of the teacher, (T, C).
            bins: which count, K of them, as ``bands`` does it for a whole band: what they hold is
                also what each network is divided by.  Not given: those of ``bands``.
        """
        with torch.no_grad(), exact(ours):
            x, y, counts = self._spectra(*(f[None, None, None] for f in (ours, theirs)))
            if bins is not None:
                counts = counts * torch.tensor(bins).to(counts)
            x, y = (self._normalised(z, counts) for z in (x, y))
            parts = self._distance(x, y) * counts[:, None]
        if self.reduction == "mean":
            parts = parts / ours.numel()
        return Look(*(z[0, 0, 0].numpy() for z in (x, y, parts)))

    def rebuilt(self, spectrum: np.ndarray, frames: int, bins: Sequence[bool]) -> np.ndarray:
        """Return the signals (frames, ...) that some bins of a spectrum (K, ...) make."""
        kept = (spectrum.T * np.asarray(bins)).T
        if self.transform == "dct":
            return np.tensordot(dct_matrix(frames).numpy().T, kept, 1)
        return np.fft.irfft(kept, n=frames, axis=0, norm="ortho")

    def bins(self, frames: int) -> int:
        """Return the number of bins of a clip."""
        return frames if self.transform == "dct" else frames // 2 + 1

    @property
    def divides_by_bins(self) -> bool:
        """Whether networks are divided by what the bins in use hold: fewer bins, other parts."""
        return self.normalise in ("clip", "channel")


def readings(loss: FeatureSpectrum) -> dict[str, LensLoss]:
    """Return the losses to look through: what is set, then amplitude and complex, by name.

    All bins count, averages over space are compared, and channels are as they come.  A
    ``distribution`` of energy knows no channels, so there the last two are all.
    """
    plain = {**asdict(loss), "bands": "all", "space": "gap", "channels": "identity"}
    found = {}
    if loss.component != DISTRIBUTION:
        name = f"phase {loss.phase:g}" if loss.phase else loss.component
        found[name] = LensLoss(**plain)
    for name in ("amplitude", "complex"):
        found.setdefault(name, LensLoss(**{**plain, "component": name, "phase": 0.0}))
    return found


def in_band(loss: FeatureSpectrum, frames: int) -> tuple[bool, ...]:
    """Return which bins a loss counts."""
    count = LensLoss(**asdict(loss)).bins(frames)
    return tuple(bool(weight) for weight in band(loss.bands, count))


class Shown:
    """One state of the lens: a clip, a student, a channel, a loss, and the bins in use."""

    def __init__(
        self,
        loss: LensLoss,
        ours: Tensor,
        theirs: Tensor,
        column: int,
        used: np.ndarray,
        where: str,
    ) -> None:
        """``where`` begins the sentence; ``column`` is the channel, from 0."""
        self._loss, self._pair, self._column, self._used = loss, (ours, theirs), column, used
        self._where = where
        self._look = loss.look(ours, theirs)
        self._parts = self._look.parts.sum(1, dtype=np.float64)
        self._total, self._left = self._parts.sum(), self._parts[used].sum()

    def view(self) -> View:
        """Return what the picture shows."""
        both = np.stack([self._look.ours[:, self._column], self._look.theirs[:, self._column]], 1)
        frames, every = len(self._pair[0]), np.ones_like(self._used)
        waves = [self._loss.rebuilt(both, frames, bins).T for bins in (every, self._used)]
        left = f"left: {self._left:.3g} of {self._total:.3g}"
        return View(*waves, abs(both).T, self._parts, self._used, left)

    def sentence(self) -> str:
        """Return it in words."""
        said = f"{self._where} {self._total:.3g}{self._remaining()}"
        if not self._used.any():
            return said
        own = np.where(self._used, self._look.parts[:, self._column], 0)
        most = f", most in bin {own.argmax()} ({own.max():.2g})" if own.sum() > 0 else ""
        return f"{said} This channel adds {own.sum():.2g}{most}."

    def _remaining(self) -> str:
        """Say what the bins in use leave of the loss."""
        if self._used.all():
            return ", with all bins."
        if not self._used.any():
            return "; all bins are taken out, which leaves nothing."
        many = self._used.sum() > 1
        share = f" ({100 * self._left / self._total:.0f} %)" if self._total > 0 else ""
        said = f"; {_bins(self._used)} leave{'' if many else 's'} {self._left:.3g}{share}."
        if not self._loss.divides_by_bins:
            return said
        alone = self._loss.look(*self._pair, self._used).parts.sum(dtype=np.float64)
        which, what = ("these bins", "they hold") if many else ("this bin", "it holds")
        return f"{said} On {which} alone, divided by what {what}, the loss is {alone:.3g}."


def _bins(used: np.ndarray) -> str:
    """Name some bins."""
    names = [str(number) for number in np.flatnonzero(used)]
    return f"bins {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"bin {names[0]}"
