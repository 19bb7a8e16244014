"""From maps of features to signals in time, of which a spectrum is taken.

Source: spec/spectrum.md 2.1, steps 1 and 2, and the variants of 2.2.  The order pool, transform,
amplitude is part of the definition: averaging commutes with the transform, the amplitude with
neither (P10b).
"""

from torch import Tensor

from redistill.errors import ConfigError
from redistill.losses.feature.match import match
from redistill.losses.rows import full, unit
from redistill.nets.averaging import averaging

SPACES = ("gap", "per_pixel", "attention", "volume")


def signals(student: Tensor, teacher: Tensor, *, space: str) -> tuple[Tensor, Tensor]:
    """Return what both networks say over time, in each place and channel.

    - ``gap``: maps averaged over space, one place.
    - ``per_pixel``, ``volume``: every place, on the smaller of both grids.
    - ``attention``: the energy of each place, mean over channels, of length one over all places;
      places take the part of the channels, so no map of channels is needed.

    Args:
        student: (B, C, T, H, W).
        teacher: (B, D, T', H', W').
        space: one of ``SPACES``.

    Returns:
        (B, h, w, T, C) and (B, h, w, T', D); with ``gap`` and ``attention`` h = w = 1, and with
        ``attention`` C = D = the number of places.

    Raises:
        ConfigError: another name, or places to compare in clips of different lengths.
    """
    student, teacher = full(student), full(teacher)
    if space == "gap":
        return _pooled(student), _pooled(teacher)
    if space not in SPACES:
        raise ConfigError(f"space = {space!r}: expected one of {', '.join(SPACES)}")
    if student.shape[2] != teacher.shape[2]:
        raise ConfigError(
            f"space = {space!r} compares place by place, and the clips have {student.shape[2]} and "
            f"{teacher.shape[2]} frames; show both networks as many, or take space = 'gap'"
        )
    student, teacher = match(student, teacher)
    if space == "attention":
        return _energy(student), _energy(teacher)
    return student.permute(0, 3, 4, 2, 1), teacher.permute(0, 3, 4, 2, 1)


def _pooled(maps: Tensor) -> Tensor:
    return maps.mean((3, 4)).transpose(1, 2)[:, None, None]


def _energy(maps: Tensor) -> Tensor:
    return unit(maps.square().mean(1).flatten(2))[:, None, None]


def group_mean(signal: Tensor, channels: int) -> Tensor:
    """Average the channels of (..., C) in ``channels`` groups, as adaptive average pooling does."""
    if signal.shape[-1] <= channels:
        return signal
    return signal @ averaging(signal.shape[-1], channels).to(signal).T
