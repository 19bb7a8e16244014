r"""Who teaches the internal classifiers, and when: the arms of notebook 3 and their loss.

$$L_k = -\tfrac1B \sum_b \sum_c p_{bc} \log q_{kbc}, \qquad
p_b = \operatorname{softmax}(t_b/T), \quad q_{kb} = \operatorname{softmax}(z_{kb}/T).$$

Source: spec/progressive.md 4.1 and 4.2.  This is forward KL plus the entropy of the teacher, which
has no gradient.  No label takes part, and no factor T^2 unless asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.errors import ConfigError, nearest
from redistill.feature_feed import OWN, FeatureBatch


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


def choose(names: tuple[str, ...], *, seed: int) -> tuple[Arm, ...]:
    """Return the arms called ``names``.

    Raises:
        ConfigError: an arm that there is not, or one named twice.
    """
    if len(set(names)) < len(names):
        raise ConfigError(f"parameter arms = {names}: an arm is named twice; name each once")
    for name in set(names) - ARMS.keys() - {RANDOM}:
        raise ConfigError(f"parameter arms: no arm {name!r}.{nearest(name, [*ARMS, RANDOM])}")
    return tuple(_random(seed) if name == RANDOM else ARMS[name] for name in names)


def _random(seed: int) -> Arm:
    drawn = np.random.default_rng([seed, 30]).choice(["iframe", "mv", "residual"], 30)
    return Arm(name=RANDOM, teachers=tuple((str(teacher), 1 / 30) for teacher in drawn))


def soft_cross_entropy(
    student: Tensor, teacher: Tensor, *, temperature: float = 1.0, squared: bool = False
) -> Tensor:
    """Return the loss of each classifier against a teacher's soft labels.

    Args:
        student: logits (..., B, K).
        teacher: logits (B, K), or log-probabilities.
        temperature: of both softmaxes.
        squared: multiply by the temperature squared.

    Returns:
        (...): the mean over the batch.
    """
    target = torch.softmax(teacher / temperature, -1)
    loss = -(target * torch.log_softmax(student / temperature, -1)).sum(-1).mean(-1)
    return loss * temperature**2 if squared else loss


@dataclass(frozen=True)
class Distil:
    """The loss of all arms at once: an objective for ``run_phase``.

    The sum over arms and classifiers, so that each is trained as it would be alone.
    """

    arms: tuple[Arm, ...]

    def __call__(self, logits: Tensor, batch: FeatureBatch, done: float) -> Tensor:
        """Return the scalar loss of logits (A, E, B, K)."""
        parts = zip(self.arms, logits.unbind(0), strict=True)
        return torch.stack([_loss(arm, z, batch, done).sum() for arm, z in parts]).sum()


def _loss(arm: Arm, z: Tensor, batch: FeatureBatch, done: float) -> Tensor:
    """Return the loss of each classifier, (E,), of logits (E, B, K)."""
    name = arm.teacher(done)
    if name is None:
        labels = batch.labels.to(z.device)
        return torch.stack([F.cross_entropy(one, labels) for one in z])
    teacher = _target(name, batch).to(z.device)
    return soft_cross_entropy(z, teacher, temperature=arm.temperature, squared=arm.squared)


def _target(name: str, batch: FeatureBatch) -> Tensor:
    """Return the teacher's logits (B, K) for the clips of a batch."""
    if name == "mean":
        shares = [torch.softmax(z, -1) for key, z in batch.teachers.items() if key != OWN]
        return torch.stack(shares).mean(0).log()
    if name == "shuffled":
        return batch.teachers["iframe"].roll(1, 0)
    return batch.teachers[name]
