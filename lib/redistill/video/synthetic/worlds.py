"""What can be known from one cue alone: ceilings counted from the factor table (spec 3)."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from redistill.video.synthetic.factors import ClipFactors, draw
from redistill.video.synthetic.spec import SyntheticSpec

CUES = {
    "iframe": lambda c: (c.target.shape, c.target.texture, c.scene),
    "motion": lambda c: c.target.motion,
    "appearance": lambda c: (c.target.shape, c.target.texture),
    "scene": lambda c: c.scene,
}


def ceilings(spec: SyntheticSpec, *, clips_per_class: int = 2000) -> dict[str, float]:
    """Return the best accuracy any classifier reaches that sees one cue only.

    Args:
        spec: the world (its ``per_class`` plays no part).
        clips_per_class: clips whose factors are drawn for the count; nothing is rendered.

    Returns:
        For ``iframe`` (appearance and scene), ``motion``, ``appearance`` and ``scene``: the share
        of clips guessed right by the commonest class of other clips that look the same.  It
        comes near the ceiling from below as the count grows.
    """
    clips = [
        draw(spec, "ceiling", label, number)
        for label in range(len(spec.classes))
        for number in range(clips_per_class)
    ]
    return {name: _share(clips, name) for name in CUES}


def _share(clips: Sequence[ClipFactors], cue: str) -> float:
    seen: defaultdict[object, Counter[int]] = defaultdict(Counter)
    for clip in clips[::2]:
        seen[CUES[cue](clip)][clip.label] += 1
    best = {look: counts.most_common(1)[0][0] for look, counts in seen.items()}
    return sum(best.get(CUES[cue](c)) == c.label for c in clips[1::2]) / len(clips[1::2])
