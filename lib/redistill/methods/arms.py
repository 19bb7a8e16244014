"""Who teaches the internal classifiers, and when: the arms of notebook 3, as data.

Source: spec/progressive.md 4.2; the loss is in ``redistill.methods.distil``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from redistill.errors import ConfigError

OWN = "own"  # the student network's own last exit


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train the ICs of a network.

    Attributes:
        name: as reports call it.
        teachers: (teacher, its share of the steps) in order; none: the labels.  A teacher is a
            modality's network, ``own``, ``mean`` (of the three), or ``shuffled`` (the I-frame
            network's scores of other clips).
        temperature: of both distributions.
        squared: multiply the loss by the temperature squared.
        bias: the output biases learn (as released they do not where a teacher is used).
    """

    name: str
    teachers: tuple[tuple[str, float], ...] = ()
    temperature: float = 1.0
    squared: bool = False
    bias: bool = True

    def teacher(self, done: float) -> str | None:
        """Return who teaches after the share ``done`` of the steps; None for the labels."""
        end = 0.0
        for name, share in self.teachers:
            end += share
            if done < end - 1e-9:
                return name
        return self.teachers[-1][0] if self.teachers else None


def _then(*teachers: str) -> tuple[tuple[str, float], ...]:
    """Return the shares of the released chain: 50, 50 and 200 of 300 epochs."""
    return tuple(zip(teachers, (1 / 6, 1 / 6, 2 / 3), strict=True))


ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(name="ce"),
        Arm(name="kd_iframe", teachers=(("iframe", 1.0),)),
        Arm(name="kd_final", teachers=((OWN, 1.0),)),
        Arm(name="pkd", teachers=_then("mv", "residual", OWN)),
        Arm(name="pkd_iframe", teachers=_then("mv", "residual", "iframe")),
        Arm(name="summary", teachers=_then("iframe", "residual", "mv")),
        Arm(name="anticurriculum", teachers=_then(OWN, "residual", "mv")),
        Arm(name="kd_mean", teachers=(("mean", 1.0),)),
        Arm(name="kd_mv", teachers=(("mv", 1.0),)),
        Arm(name="kd_residual", teachers=(("residual", 1.0),)),
        Arm(name="kd_shuffled", teachers=(("shuffled", 1.0),)),
        Arm(name="kd_iframe_t4", teachers=(("iframe", 1.0),), temperature=4.0, squared=True),
        Arm(name="pkd_bias", teachers=_then("mv", "residual", OWN), bias=False),
    )
}
RANDOM = "kd_random"  # a teacher drawn anew for each thirtieth of the steps
ARM_NAMES = (*ARMS, RANDOM)


def choose(names: tuple[str, ...], *, seed: int) -> tuple[Arm, ...]:
    """Return the arms called ``names``, of ``ARM_NAMES``.

    Raises:
        ConfigError: an arm named twice.
    """
    if len(set(names)) < len(names):
        raise ConfigError(f"parameter arms = {names}: an arm is named twice; name each once")
    return tuple(_random(seed) if name == RANDOM else ARMS[name] for name in names)


def _random(seed: int) -> Arm:
    drawn = Random(f"{RANDOM} {seed}").choices(("iframe", "mv", "residual"), k=30)
    return Arm(name=RANDOM, teachers=tuple((teacher, 1 / 30) for teacher in drawn))


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Some arms, trained once more.

    Attributes:
        arms: names in ``ARMS``.
        bias: whether output biases learn where a teacher is used.
        budget: times the steps.
        drops: shares of the steps after which the learning rate falls tenfold; none: the cosine.
        decay: whether weights decay.
        drift: pass the student in training mode.
    """

    arms: tuple[str, ...]
    bias: bool = True
    budget: int = 1
    drops: tuple[float, ...] = ()
    decay: bool = True
    drift: bool = False

    def renamed(self, suffix: str) -> tuple[Arm, ...]:
        """Return the arms under names of their own."""
        arms = (ARMS[name] for name in self.arms)
        return tuple(
            replace(a, name=f"{a.name}_{suffix}", bias=self.bias or not a.teachers) for a in arms
        )


_RECIPE = {"bias": False, "decay": False}
PASSES: Mapping[str, tuple[Pass, ...]] = {
    "long": (Pass(arms=("ce", "pkd"), budget=2),),
    "drift": (Pass(arms=("ce", "pkd"), drift=True),),
    "released": (
        Pass(arms=("ce", "anticurriculum"), drops=(1 / 3, 2 / 3), **_RECIPE),
        Pass(arms=("pkd",), budget=2, drops=(1 / 2, 2 / 3, 5 / 6), **_RECIPE),
    ),
}
