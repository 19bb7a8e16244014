r"""Decoupled distillation: whether the class is hit, and how the others compare, weighed apart.

With b the pair (probability of the label, probability of all others) and q the distribution over
the other classes, both at temperature T,

$$D = T^2 \, \tfrac1B \sum_i \bigl[ \alpha\, \mathrm{KL}(b^t_i \| b^s_i)
      + \beta\, \mathrm{KL}(q^t_i \| q^s_i) \bigr].$$

Plain distillation is the case $\alpha = 1$, $\beta = 1 - p^t_{label}$.  Source: Zhao et al., CVPR
2022.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.losses.rows import full

_HIDDEN = -1e4  # a logit of a class that is left out


def dkd(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    alpha: float = 1.0,
    beta: float = 2.0,
) -> Tensor:
    """Return the decoupled divergence, mean over the batch.

    Args:
        student: logits (B, K).
        teacher: logits (B, K).
        labels: (B,) int64, the class that counts as target.
        temperature: of all distributions.
        alpha: weight of the target's part.
        beta: weight of the others' part.
    """
    student, teacher = full(student), full(teacher)
    target = F.one_hot(labels, student.shape[1]).bool()
    pair = _kl(_pair(student, target, temperature), _pair(teacher, target, temperature))
    others = _kl(_others(student, target, temperature), _others(teacher, target, temperature))
    return temperature**2 * (alpha * pair + beta * others)


def _pair(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return the logarithms of (label, all others), (B, 2)."""
    z = logits / temperature
    rest = z.masked_fill(target, float("-inf")).logsumexp(1)
    return torch.log_softmax(torch.stack([z[target], rest], 1), 1)


def _others(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return the logarithms of the distribution over the other classes, (B, K)."""
    return torch.log_softmax((logits / temperature).masked_fill(target, _HIDDEN), 1)


def _kl(ours: Tensor, target: Tensor) -> Tensor:
    return (target.exp() * (target - ours)).sum(1).mean()
