"""Factors and nuisances of every clip, drawn by key (spec synthetic 2 and 3).

Factors are independent of each other and of the label unless the world ties them.  Clips come in
groups of 10 of one class that never cross a split and share the scene's picture (noise field,
phase, tint), all colours and the camera.  Only the scene's *category* is drawn per clip, so that
``rho`` holds clip by clip.  The last group of a class is smaller where 10 does not divide its
number of clips (24 = 10 + 10 + 4); a larger set contains the smaller one's clips.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product

from redistill.video.keyed import Key, below
from redistill.video.synthetic import spec as fixed
from redistill.video.synthetic.spec import SyntheticSpec

Keys = tuple[Key, ...]
UNIT = 256
"""Fixed point: speeds in 1/256 pixel a frame, periods and phases in 1/256 frame."""
SPEED = 2 * UNIT
ORIENTATIONS = 8
PHASES = 1120
CUES: dict[str, Callable[["ClipFactors"], object]] = {
    "iframe": lambda c: (c.target.shape, c.target.texture, c.scene),
    "motion": lambda c: c.target.motion,
    "appearance": lambda c: (c.target.shape, c.target.texture),
    "scene": lambda c: c.scene,
}
"""What a classifier can go by that sees one kind of thing only."""


@dataclass(frozen=True)
class Mover:
    """A target or a distractor: what it looks like and how it moves."""

    shape: str
    texture: str
    motion: str
    x: int
    y: int
    phase: int
    period: int
    speed: int
    stripe_orientation: int
    stripe_phase: int
    red: int
    green: int
    blue: int


@dataclass(frozen=True)
class ClipFactors:
    """All that determines the pixels of one clip."""

    clip: str
    split: str
    group: str
    label: int
    scene: int
    scene_phase: int
    tint: tuple[int, int, int]
    pan_x: int
    pan_y: int
    target: Mover
    distractors: tuple[Mover, ...]
    active_gops: str

    def row(self) -> dict[str, str | int]:
        """Return the manifest's row; the hidden truth (``active_gops``) is not in it."""
        names = ("clip", "split", "group", "label", "scene", "scene_phase", "pan_x", "pan_y")
        row = {name: getattr(self, name) for name in names}
        row |= dict(zip(("tint_red", "tint_green", "tint_blue"), self.tint, strict=True))
        names = ("target", *(f"distractor{n}" for n in range(1, 1 + len(self.distractors))))
        for name, mover in zip(names, (self.target, *self.distractors), strict=True):
            row |= {f"{name}_{field}": value for field, value in asdict(mover).items()}
        return row


def plan(spec: SyntheticSpec) -> Iterator[ClipFactors]:
    """Yield the factors of every clip of the set: by split, then class, then number."""
    for split, count in zip(fixed.SPLITS, spec.per_class, strict=True):
        for label, number in product(range(len(spec.classes)), range(count)):
            yield draw(spec, split, label, number)


def draw(spec: SyntheticSpec, split: str, label: int, number: int) -> ClipFactors:
    """Draw the factors of clip ``number`` of class ``label`` in ``split``."""
    group = f"{split}-c{label:02d}-g{number // fixed.GROUP:02d}"
    shared = spec.group_key(split, group)
    own = (*shared, number % fixed.GROUP)
    look, motion, scene = _tied(spec, label, own)
    target = _mover(
        spec, "target", (fixed.SHAPES[look // 2], fixed.TEXTURES[look % 2], motion), shared, own
    )
    names = [f"distractor{n}" for n in range(1, spec.distractors + 1)]
    distractors = tuple(_mover(spec, name, _foreign(name, own), shared, own) for name in names)
    pans = below(2, *shared, "pan")
    return ClipFactors(
        clip=f"{group}-{number % fixed.GROUP}",
        split=split,
        group=group,
        label=label,
        scene=scene,
        scene_phase=below(PHASES, *shared, "scene phase"),
        tint=tuple(_colour(shared, "tint").values()),
        pan_x=pans * (below(3, *shared, "pan x") - 1),
        pan_y=pans * (below(3, *shared, "pan y") - 1),
        target=target,
        distractors=distractors,
        active_gops=_active(spec, own),
    )


def _tied(spec: SyntheticSpec, label: int, own: Keys) -> tuple[int, str, int]:
    """Return appearance, motion and scene: by the label where the world says so, else drawn."""
    look, scene = below(6, *own, "appearance"), below(fixed.SCENES, *own, "scene")
    if spec.world == "motion_led":
        return look, spec.motions[label], scene
    if spec.world == "crossed":
        return label // 4, spec.motions[label % 4], scene
    # One draw for all rho: the sweep changes the scene of some clips and nothing else.
    own_scene = below(100, *own, "scene follows class") < spec.rho
    return label // 2, fixed.MOTIONS[5 * label % 8], label if own_scene else scene


def _foreign(name: str, own: Keys) -> tuple[str, str, str]:
    return (
        fixed.FOREIGN_SHAPES[below(2, *own, name, "shape")],
        fixed.TEXTURES[below(2, *own, name, "texture")],
        fixed.MOTIONS[below(8, *own, name, "motion")],
    )


def _mover(
    spec: SyntheticSpec, name: str, kind: tuple[str, str, str], shared: Keys, own: Keys
) -> Mover:
    key = (*own, name)
    period = fixed.FRAMES * UNIT // fixed.CYCLES.get(kind[2], 1)
    # With whole periods the phase is a whole frame, so that every step is exactly the speed.
    step = 1 if spec.cycles_jitter or spec.speed_jitter else UNIT
    period = 2 * (_jitter(period, spec.cycles_jitter, *key, "cycles") // 2)
    return Mover(
        *kind,
        x=below(fixed.SIZE, *key, "x"),
        y=below(fixed.SIZE, *key, "y"),
        phase=step * below(period // step, *key, "phase"),
        period=period,
        speed=_jitter(SPEED, spec.speed_jitter, *key, "speed"),
        stripe_orientation=below(ORIENTATIONS, *key, "orientation"),
        stripe_phase=below(PHASES, *key, "stripes"),
        **_colour(shared, name),
    )


def _jitter(value: int, percent: int, *key: Key) -> int:
    spread = value * percent // 100
    return value - spread + below(2 * spread + 1, *key)


def _colour(shared: Keys, name: str) -> dict[str, int]:
    return {colour: 80 + below(96, *shared, name, colour[0]) for colour in ("red", "green", "blue")}


def _active(spec: SyntheticSpec, own: Keys) -> str:
    """Return one letter per GOP: 1 where the motion runs, 0 where the target rests."""
    gops = fixed.FRAMES // fixed.GOP
    if not spec.inexact:
        return "1" * gops
    count = 1 + below(gops - 1, *own, "active gops")
    chosen = sorted(range(gops), key=lambda gop: below(1 << 60, *own, "active gop", gop))[:count]
    return "".join("1" if gop in chosen else "0" for gop in range(gops))


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
    pairs = product(range(len(spec.classes)), range(clips_per_class))
    clips = [draw(spec, "ceiling", label, number) for label, number in pairs]
    found = {}
    for name, cue in CUES.items():
        seen: defaultdict[object, Counter[int]] = defaultdict(Counter)
        for clip in clips[::2]:
            seen[cue(clip)][clip.label] += 1
        best = {look: counts.most_common(1)[0][0] for look, counts in seen.items()}
        right = [best.get(cue(clip)) == clip.label for clip in clips[1::2]]
        found[name] = sum(right) / len(right)
    return found
