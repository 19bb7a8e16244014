r"""The temporal spectrum of a signal, how often each bin counts, and bands of bins.

$$X_{k,c} = T^{-1/2} \sum_{t=0}^{T-1} f_{t,c}\, e^{-2\pi i kt/T}, \qquad k = 0 \dots
\lfloor T/2 \rfloor.$$

A real signal's other bins are the mirror images of these, so all but the first and, for even T,
the last count twice: then $\sum_k m_k |X_k|^2 = \sum_t f_t^2$ (Parseval).

Source: spec/spectrum.md 2.1, steps 4 to 7; P1, P2.
"""

import math
from functools import cache

import torch
from torch import Tensor

from redistill.errors import ConfigError
from redistill.losses.rows import full

TRANSFORMS = ("dft", "dct")
BANDS = ("all", "ac", "dc", "high")


def exact(x: Tensor) -> torch.autocast:
    """Return a context without autocast: half precision would lose the small bins of ``x``.

    Any product of matrices would fall under it, the map of channels too; and the CPU has no
    Fourier transform of half precision.
    """
    return torch.autocast(x.device.type, enabled=False)


def dft(signal: Tensor, *, norm: str = "ortho") -> Tensor:
    """Return the one-sided spectrum over time, complex, in float32 at least.

    Args:
        signal: (..., T, C), real; the transform is over T.
        norm: ``ortho`` keeps the energy; ``forward`` (1/T) makes a sinusoid's amplitude the same
            for any number of frames.

    Returns:
        (..., T // 2 + 1, C).
    """
    return torch.fft.rfft(full(signal), dim=-2, norm=norm)


def dct(signal: Tensor) -> Tensor:
    """Return the orthonormal DCT-II over time of (..., T, C), of the same shape."""
    signal = full(signal)
    return dct_matrix(signal.shape[-2]).to(signal) @ signal


@cache
def dct_matrix(size: int) -> Tensor:
    """Return the orthonormal DCT-II as a float64 matrix (frequency, place)."""
    place = torch.arange(size, dtype=torch.float64, device="cpu")  # whatever the default is
    angles = math.pi * (2 * place + 1) * place[:, None] / (2 * size)
    matrix = angles.cos() * math.sqrt(2 / size)
    matrix[0] = math.sqrt(1 / size)
    return matrix


def multiplicity(frames: int) -> Tensor:
    """Return how often each one-sided bin of ``frames`` stands in the whole spectrum, float64."""
    counts = torch.full((frames // 2 + 1,), 2.0, dtype=torch.float64)
    counts[0] = 1.0
    if frames % 2 == 0:
        counts[-1] = 1.0
    return counts


def band(name: str, bins: int) -> Tensor:
    """Return the weights of ``bins`` bins, float64: 1 inside the band, 0 outside.

    ``ac`` is all but the constant bin (what varies in time), ``dc`` the constant one alone,
    ``high`` the upper half.

    Raises:
        ConfigError: another name, or a band that holds no bin of so short a clip.
    """
    first, last = {
        "all": (0, bins),
        "ac": (1, bins),
        "dc": (0, 1),
        "high": ((bins + 1) // 2, bins),
    }[check_band(name)]
    if first >= last:
        raise ConfigError(
            f"bands = {name!r} is empty: the spectrum has {bins} bins; give more frames"
        )
    weights = torch.zeros(bins, dtype=torch.float64)
    weights[first:last] = 1.0
    return weights


def check_band(name: str) -> str:
    """Return the name of a band, or refuse it."""
    if name not in BANDS:
        raise ConfigError(f"bands = {name!r}: expected one of {', '.join(BANDS)}")
    return name
