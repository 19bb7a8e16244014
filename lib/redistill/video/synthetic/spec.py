"""What a synthetic set is: its worlds, sizes and options (spec synthetic 1 to 4)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from redistill.errors import CatalogError, nearest
from redistill.files import sha256_json

GENERATOR_VERSION = 1
"""Part of every key: a change of any constant or law below raises it and voids all verdicts."""

SIZE = 112
FRAMES = 48
GOP = 12
GROUP = 10

SHAPES = ("disc", "square", "ring")
FOREIGN_SHAPES = ("diamond", "cross")
TEXTURES = ("coarse", "fine")

MOTIONS = ("L", "R", "U", "D", "Hs", "Hf", "Vs", "Vf")
EXTRA_MOTIONS = ("static", "Ha", "Va")
"""Optional: a target at rest, and 6-cycle oscillations (alias probe: 2 cycles at T = 8)."""
CYCLES = {"Hs": 1, "Vs": 1, "Hf": 3, "Vf": 3, "Ha": 6, "Va": 6}
SCENES = 12

PER_CLASS = {"quick": (24, 8, 20), "standard": (200, 50, 200)}
SPLITS = ("train", "val", "test")
WORLDS = ("scene_led", "crossed", "motion_led")
_CROSSED = ("L", "R", "Hs", "Hf")


@dataclass(frozen=True, kw_only=True)
class SyntheticSpec:
    """One synthetic set; equal specs give equal bits.

    Attributes:
        world: ``scene_led`` (12 classes), ``crossed`` (24) or ``motion_led`` (8).
        per_class: clips of each class in train, validation and test.
        data_seed: 0 to 4 for the five published sets; any other non-negative number works.
        rho: probability, in percent, that a clip of ``scene_led`` shows its class's scene.
        codec: ``mpeg4`` or ``h264``.
        distractors: foreign objects per clip, 0 to 2.
        noise: standard deviation of the sensor noise, of 255.
        contrast: amplitude of the target's stripes in percent of the normal one.
        cycles_jitter: spread of the oscillation period in percent (leakage off the bins).
        speed_jitter: spread of the speed in percent.
        extra_motions: further classes of ``motion_led``, from ``EXTRA_MOTIONS``.
        inexact: the motion fills 1 to 3 of the 4 GOPs; the target rests in the others.
        shuffled: frames in a random order (sham: temporal gains must vanish).
    """

    world: str = "scene_led"
    per_class: tuple[int, int, int] = PER_CLASS["quick"]
    data_seed: int = 0
    rho: int = 70
    codec: str = "mpeg4"
    distractors: int = 1
    noise: int = 3
    contrast: int = 100
    cycles_jitter: int = 0
    speed_jitter: int = 0
    extra_motions: tuple[str, ...] = ()
    inexact: bool = False
    shuffled: bool = False

    def __post_init__(self) -> None:
        """Refuse what no set can be made of."""
        choose("world", self.world, WORLDS)
        choose("codec", self.codec, ("mpeg4", "h264"))
        for motion in self.extra_motions:
            choose("extra motion", motion, EXTRA_MOTIONS)
        if self.extra_motions and self.world != "motion_led":
            raise CatalogError(
                f"extra_motions {self.extra_motions} need world 'motion_led', where the motion is "
                f"the label; this is {self.world!r}"
            )
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise CatalogError(f"{name} = {value}: must lie between {low} and {high}")
        if len(self.per_class) != 3 or min(self.per_class) < 1:
            raise CatalogError(
                f"per_class = {self.per_class}: give three numbers above 0 (train, val, test)"
            )

    def group_key(self, split: str, group: str) -> tuple[str | int, ...]:
        """Return the key of all that the clips of a group share."""
        return GENERATOR_VERSION, self.world, self.data_seed, split, group

    @property
    def motions(self) -> tuple[str, ...]:
        """The motions a target of this world can have, in the order of their numbers."""
        return _CROSSED if self.world == "crossed" else MOTIONS + self.extra_motions

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the label is the place in this tuple."""
        if self.world == "motion_led":
            return self.motions
        looks = [f"{shape}_{texture}" for shape, texture in product(SHAPES, TEXTURES)]
        if self.world == "crossed":
            return tuple(f"{look}_{motion}" for look in looks for motion in _CROSSED)
        return tuple(f"{looks[c // 2]}_{MOTIONS[5 * c % 8]}_scene{c:02d}" for c in range(SCENES))

    def key(self, encoder: str) -> str:
        """Return the folder name of this set; the encoder's version is part of it."""
        content = dataclasses.asdict(self) | {"version": GENERATOR_VERSION, "encoder": encoder}
        return f"v{GENERATOR_VERSION}-{self.world}-{sha256_json(content)[:16]}"


_BOUNDS = (
    ("data_seed", 0, 2**31),
    ("rho", 0, 100),
    ("distractors", 0, 2),
    ("noise", 0, 16),
    ("contrast", 1, 200),
    ("cycles_jitter", 0, 50),
    ("speed_jitter", 0, 50),
)


def choose(what: str, value: str, options: Sequence[str]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        raise CatalogError(
            f"unknown {what} {value!r}.{nearest(value, options)} Choose from {', '.join(options)}."
        )
