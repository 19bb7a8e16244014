"""Choose the frames of a clip that stand for it, on real GOP lengths: segments or a grid."""

from collections.abc import Sequence

import numpy as np

from redistill.errors import ConfigError, VideoError
from redistill.modality import RGB, check_modality

_SHARED_POSITION = 5

Position = tuple[int, int]


def segment_positions(
    gop_lengths: Sequence[int],
    modality: str,
    *,
    segments: int,
    rng: np.random.Generator | None = None,
) -> list[Position]:
    """Return one (GOP, position) per segment by each modality's own rule.

    An I-frame sample takes the I-frame of its GOP.  A motion or residual sample that falls on
    an I-frame takes the last P frame before it.

    Args:
        gop_lengths: frames of each GOP.
        modality: "iframe", "mv", "residual", or "rgb" (see ``grid_positions``).
        segments: number of equal parts of the clip.
        rng: draws a frame within each segment; None takes the centres (test).

    Raises:
        ConfigError: an unknown modality, or no segment.
        VideoError: motion is asked of a clip without P frames.
    """
    if check_modality(modality) == RGB:
        return grid_positions(gop_lengths, frames=segments, rng=rng)
    predicted = modality != "iframe"
    _check(gop_lengths, segments, predicted)
    ends = np.cumsum(gop_lengths)
    count = int(ends[-1]) - predicted
    step = (count - 1) / segments
    chosen = []
    for segment in range(segments):
        if rng is None:
            index = round(step * (segment + 0.5))
        else:
            first = round(step * segment)
            index = int(rng.integers(first, max(round(step * (segment + 1)), first + 1)))
        gop = int(np.searchsorted(ends, index + predicted, side="right"))
        pos = index + predicted - int(ends[gop]) + gop_lengths[gop]
        chosen.append(_predicted(gop_lengths, gop, pos) if predicted else (gop, 0))
    return chosen


def grid_positions(
    gop_lengths: Sequence[int],
    *,
    frames: int,
    rng: np.random.Generator | None = None,
    shift: float = 0.5,
    apart: bool = False,
) -> list[Position]:
    """Return (GOP, position) of ``frames`` frames at one distance, shifted by one offset.

    Frame i is the one at ``floor((i + u) * n / frames)`` of n, with one u in [0, 1) for the whole
    clip: jitter inside segments would smear the phase of a motion (spec/synthetic.md 7).

    Args:
        gop_lengths: frames of each GOP.
        frames: wanted; a clip of fewer repeats some.
        rng: draws u; None takes ``shift`` (test).
        shift: u where nothing is drawn.
        apart: each frame draws a u of its own, so it lies anywhere in its segment (TSN).

    Raises:
        ConfigError: no frame wanted.
    """
    _check(gop_lengths, frames, False)
    ends = np.cumsum(gop_lengths)
    if rng is not None:
        shift = rng.random(frames) if apart else rng.random()
    places = ((np.arange(frames) + shift) * int(ends[-1]) / frames).astype(int)
    places = np.minimum(places, ends[-1] - 1).tolist()  # the largest u below 1 rounds up to it
    gops = np.searchsorted(ends, places, side="right").tolist()
    return [
        (gop, place - int(ends[gop]) + gop_lengths[gop])
        for place, gop in zip(places, gops, strict=True)
    ]


def shared_positions(
    gop_lengths: Sequence[int], *, segments: int, rng: np.random.Generator | None = None
) -> dict[str, list[Position]]:
    """Return positions of all modalities in one GOP per segment, as IC training takes them.

    The I-frame rule names the GOP.  Motion and residual share one P frame of it: any, or with
    ``rng`` None the fifth, or the last one of a GOP that ends before.  A GOP without P frames
    yields to the nearest one before it that has some, else to the first that has.

    Raises:
        ConfigError: no segment.
        VideoError: a clip without P frames.
    """
    _check(gop_lengths, segments, True)
    chosen = []
    for gop, _ in segment_positions(gop_lengths, "iframe", segments=segments, rng=rng):
        gop, _ = _predicted(gop_lengths, gop, gop_lengths[gop] - 1)
        last = gop_lengths[gop] - 1
        pos = min(_SHARED_POSITION, last) if rng is None else int(rng.integers(1, last + 1))
        chosen.append((gop, pos))
    return {"iframe": [(gop, 0) for gop, _ in chosen], "mv": chosen, "residual": list(chosen)}


def _check(gop_lengths: Sequence[int], segments: int, predicted: bool) -> None:
    if segments < 1:
        raise ConfigError(f"segments is {segments}; expected at least 1.")
    if predicted and max(gop_lengths) < 2:
        raise VideoError(
            f"no P frame in GOPs of {tuple(gop_lengths)} frames, so there is no motion. "
            "Use the I-frame modality alone, or re-encode with: redistill prepare SOURCE TARGET"
        )


def _predicted(gop_lengths: Sequence[int], gop: int, pos: int) -> Position:
    """Return a P frame for (gop, pos): itself, else the nearest before, else the first after."""
    if pos:
        return gop, pos
    moving = [one for one, length in enumerate(gop_lengths) if length > 1]
    before = [one for one in moving if one < gop]
    return (before[-1], gop_lengths[before[-1]] - 1) if before else (moving[0], 1)
