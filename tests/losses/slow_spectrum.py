"""The spectrum loss by its definition: two-sided transforms summed term by term, in NumPy.

Each bin of the whole spectrum counts once here, so nothing is known of one-sided spectra.
"""

import cmath

import numpy as np


def slow_dft(f):
    """Return the whole spectrum of (T, ...) signals, of the same energy."""
    frames = len(f)
    return np.stack([
        sum(f[t] * cmath.exp(-2j * cmath.pi * k * t / frames) for t in range(frames))
        for k in range(frames)
    ]) / np.sqrt(frames)  # fmt: skip


def frequency(frames):
    """Return how fast each bin of the whole spectrum turns, whichever way."""
    return np.array([min(k, frames - k) for k in range(frames)])


def amp_phase(x, y):
    phase = 1 - np.cos(np.angle(x) - np.angle(y))
    return (abs(x) - abs(y)) ** 2 + np.minimum(abs(x), abs(y)) * phase


DISTANCES = {
    "amplitude": lambda x, y: (abs(x) - abs(y)) ** 2,
    "power": lambda x, y: (abs(x) ** 2 - abs(y) ** 2) ** 2,
    "log_amplitude": lambda x, y: np.log((1e-3 + abs(x)) / (1e-3 + abs(y))) ** 2,
    "complex": lambda x, y: abs(x - y) ** 2,
    "amp_phase": amp_phase,
}
BANDS = {
    "all": lambda k, bins: k >= 0,
    "ac": lambda k, bins: k > 0,
    "dc": lambda k, bins: k == 0,
    "high": lambda k, bins: k >= np.ceil(bins / 2),
}


def lengths(spectrum, kept, normalise):
    """Return what a clip's whole spectrum (T, places, C) is divided by."""
    energy = abs(spectrum) ** 2
    if normalise == "clip":
        return np.sqrt(energy[kept].sum())
    if normalise == "channel":
        return np.sqrt(energy[kept].sum((0, 1)))
    return np.sqrt(energy[0].sum()) if normalise == "constant" else 1.0


def slow_loss(student, teacher, component="amplitude", *, normalise="clip", band="all"):
    """Return the loss of signals (B, places, T, C), mean over clips and sum over all else."""
    frames = student.shape[2]
    kept = BANDS[band](frequency(frames), frames // 2 + 1)
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        x, y = (slow_dft(f.transpose(1, 0, 2)) for f in (s, t))
        x, y = (z / lengths(z, kept, normalise) for z in (x, y))
        total += DISTANCES[component](x, y)[kept].sum()
    return total / len(student)
