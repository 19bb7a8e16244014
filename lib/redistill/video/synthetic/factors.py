"""Factors and nuisances of every clip, drawn by key (spec synthetic 2 and 3).

Factors are independent of each other and of the label unless the world ties them.  Clips come in
groups of 10 of one class that never cross a split and share the scene's picture (noise field,
phase, tint), all colours and the camera.  Only the scene's *category* is drawn per clip, so that
``rho`` holds clip by clip.  The last group of a class is smaller where 10 does not divide its
number of clips (24 = 10 + 10 + 4); a larger set contains the smaller one's clips.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from redistill.video.keyed import Key, below
from redistill.video.synthetic.spec import (
    CYCLES,
    FOREIGN_SHAPES,
    FRAMES,
    GENERATOR_VERSION,
    GOP,
    GROUP,
    MOTIONS,
    SCENES,
    SHAPES,
    SIZE,
    SPLITS,
    TEXTURES,
    SyntheticSpec,
)

UNIT = 256
"""Fixed point: speeds in 1/256 pixel a frame, periods and phases in 1/256 frame."""
SPEED = 2 * UNIT
ORIENTATIONS = 8
PHASES = 1120


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
        movers = {"target": self.target}
        movers |= {f"distractor{n}": mover for n, mover in enumerate(self.distractors, 1)}
        for name, mover in movers.items():
            row |= {f"{name}_{field}": value for field, value in asdict(mover).items()}
        return row


def plan(spec: SyntheticSpec) -> Iterator[ClipFactors]:
    """Yield the factors of every clip of the set: by split, then class, then number."""
    for split, count in zip(SPLITS, spec.per_class, strict=True):
        for label in range(len(spec.classes)):
            for number in range(count):
                yield draw(spec, split, label, number)


def draw(spec: SyntheticSpec, split: str, label: int, number: int) -> ClipFactors:
    """Draw the factors of clip ``number`` of class ``label`` in ``split``."""
    group = f"{split}-c{label:02d}-g{number // GROUP:02d}"
    shared = (GENERATOR_VERSION, spec.world, spec.data_seed, split, group)
    own = (*shared, number % GROUP)
    look, motion, scene = _tied(spec, label, own)
    target = _mover(spec, "target", (SHAPES[look // 2], TEXTURES[look % 2], motion), shared, own)
    distractors = tuple(
        _mover(spec, f"distractor{n}", _foreign(n, own), shared, own)
        for n in range(1, spec.distractors + 1)
    )
    pans = below(2, *shared, "pan")
    return ClipFactors(
        clip=f"{group}-{number % GROUP}",
        split=split,
        group=group,
        label=label,
        scene=scene,
        scene_phase=below(PHASES, *shared, "scene phase"),
        tint=_colour(shared, "tint"),
        pan_x=pans * (below(3, *shared, "pan x") - 1),
        pan_y=pans * (below(3, *shared, "pan y") - 1),
        target=target,
        distractors=distractors,
        active_gops=_active(spec, own),
    )


def _tied(spec: SyntheticSpec, label: int, own: tuple[Key, ...]) -> tuple[int, str, int]:
    """Return appearance, motion and scene: by the label where the world says so, else drawn."""
    look, scene = below(6, *own, "appearance"), below(SCENES, *own, "scene")
    if spec.world == "motion_led":
        return look, spec.motions[label], scene
    if spec.world == "crossed":
        return label // 4, spec.motions[label % 4], scene
    # One draw for all rho: the sweep changes the scene of some clips and nothing else.
    own_scene = below(100, *own, "scene follows class") < spec.rho
    return label // 2, MOTIONS[5 * label % 8], label if own_scene else scene


def _foreign(n: int, own: tuple[Key, ...]) -> tuple[str, str, str]:
    name = f"distractor{n}"
    return (
        FOREIGN_SHAPES[below(2, *own, name, "shape")],
        TEXTURES[below(2, *own, name, "texture")],
        MOTIONS[below(8, *own, name, "motion")],
    )


def _mover(
    spec: SyntheticSpec,
    name: str,
    kind: tuple[str, str, str],
    shared: tuple[Key, ...],
    own: tuple[Key, ...],
) -> Mover:
    key = (*own, name)
    period = FRAMES * UNIT // CYCLES.get(kind[2], 1)
    # With whole periods the phase is a whole frame, so that every step is exactly the speed.
    step = 1 if spec.cycles_jitter or spec.speed_jitter else UNIT
    period = 2 * (_jitter(period, spec.cycles_jitter, *key, "cycles") // 2)
    red, green, blue = _colour(shared, name)
    return Mover(
        *kind,
        x=below(SIZE, *key, "x"),
        y=below(SIZE, *key, "y"),
        phase=step * below(period // step, *key, "phase"),
        period=period,
        speed=_jitter(SPEED, spec.speed_jitter, *key, "speed"),
        stripe_orientation=below(ORIENTATIONS, *key, "orientation"),
        stripe_phase=below(PHASES, *key, "stripes"),
        red=red,
        green=green,
        blue=blue,
    )


def _jitter(value: int, percent: int, *key: Key) -> int:
    spread = value * percent // 100
    return value - spread + below(2 * spread + 1, *key)


def _colour(shared: tuple[Key, ...], name: str) -> tuple[int, int, int]:
    red, green, blue = (80 + below(96, *shared, name, channel) for channel in "rgb")
    return red, green, blue


def _active(spec: SyntheticSpec, own: tuple[Key, ...]) -> str:
    """Return one letter per GOP: 1 where the motion runs, 0 where the target rests."""
    gops = FRAMES // GOP
    if not spec.inexact:
        return "1" * gops
    count = 1 + below(gops - 1, *own, "active gops")
    chosen = sorted(range(gops), key=lambda gop: below(1 << 60, *own, "active gop", gop))[:count]
    return "".join("1" if gop in chosen else "0" for gop in range(gops))
