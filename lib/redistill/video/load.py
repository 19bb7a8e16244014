"""Load the segments of a clip in all modalities with one decoding pass."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from redistill.errors import VideoError
from redistill.modality import MODALITIES, check_modality
from redistill.video.gop import Gop
from redistill.video.sampling import Position, segment_positions
from redistill.video.source import Source

Sample = Callable[[tuple[int, ...]], Mapping[str, Sequence[Position]]]
_SHAPES = {"iframe": (3, np.uint8), "mv": (2, np.int16), "residual": (3, np.int16)}


def load_clip(
    path: Path | str,
    *,
    segments: int = 3,
    modalities: Sequence[str] = MODALITIES,
    sample: Sample | None = None,
) -> dict[str, np.ndarray]:
    """Load a clip's segments: GOPs without a wanted frame are not decoded, others to the last one.

    Args:
        path: the clip.
        segments: number of segments; not used when ``sample`` is given.
        modalities: any of "iframe", "mv", "residual".
        sample: maps the GOP lengths to (GOP, position) pairs per modality; None takes the
            centres of the segments (spec 1.6, test).

    Returns:
        "iframe" uint8 (S, H, W, 3) RGB, "mv" int16 (S, H, W, 2), "residual" int16 (S, H, W, 3).

    Raises:
        ConfigError: an unknown modality, or no segment.
        VideoError: the file cannot be used, the guard refuses it, or a position that the clip
            does not have.
    """
    wanted = [check_modality(modality) for modality in modalities]
    source = Source(path).admitted()
    lengths = source.info.gop_lengths
    if sample is None:
        chosen: Mapping[str, Sequence[Position]] = {
            modality: segment_positions(lengths, modality, segments=segments) for modality in wanted
        }
    else:
        chosen = sample(lengths)
    result = {}
    for modality in wanted:
        channels, dtype = _SHAPES[modality]
        shape = len(chosen[modality]), source.info.height, source.info.width, channels
        result[modality] = np.empty(shape, dtype)
    _fill(source, chosen, result)
    return result


def _fill(
    source: Source, chosen: Mapping[str, Sequence[Position]], result: dict[str, np.ndarray]
) -> None:
    """Compute each distinct (GOP, position, modality) once, in decoding order; copy the rest."""
    plan: dict[int, dict[tuple[int, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    lengths = source.info.gop_lengths
    for modality in result:
        for segment, (gop, pos) in enumerate(chosen[modality]):
            if not (0 <= gop < len(lengths) and 0 <= pos < lengths[gop]):
                raise VideoError(
                    f"{source.path}: there is no position {pos} in GOP {gop} of {lengths}. "
                    "Sample from the GOP lengths given."
                )
            plan[gop][pos, modality].append(segment)
    for index in sorted(plan):
        gop = Gop(source, index, stop=1 + max(pos for pos, _ in plan[index]))
        read = {"iframe": gop.frame, "mv": gop.motion, "residual": gop.residual}
        for pos, modality in sorted(plan[index]):
            first, *others = plan[index][pos, modality]
            read[modality](pos, out=result[modality][first])
            for other in others:
                result[modality][other] = result[modality][first]
