r"""The loss of the internal classifiers, for all arms at once.

$$L_k = -\tfrac1B \sum_b \sum_c p_{bc} \log q_{kbc}, \qquad
p_b = \operatorname{softmax}(t_b/T), \quad q_{kb} = \operatorname{softmax}(z_{kb}/T).$$

Source: spec/progressive.md 4.1.  This is forward KL plus the entropy of the teacher, which has no
gradient.  No label takes part, and no factor T^2 unless asked for.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.feature_feed import FeatureBatch
from redistill.methods.arms import OWN, Arm


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
