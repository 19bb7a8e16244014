r"""Knowledge distillation by soft answers.

$$D = T^2 \, \tfrac1B \sum_i \mathrm{KL}\bigl(\operatorname{softmax}(t_i/T) \,\|\,
      \operatorname{softmax}(s_i/T)\bigr)$$

Source: Hinton, Vinyals, Dean 2015; spec/substage.md 3.1.  The sum over classes is whole: a mean
over classes, the default of torch, would be 1/K of it (spec 11.1).
"""

import torch
from torch import Tensor

from redistill.losses.rows import full


def kd(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return the divergence from the teacher's answers, times the temperature squared.

    Args:
        student: logits (B, K).
        teacher: logits (B, K).
        temperature: of both softmaxes.
    """
    ours = torch.log_softmax(full(student) / temperature, 1)
    target = torch.log_softmax(full(teacher) / temperature, 1)
    return temperature**2 * (target.exp() * (target - ours)).sum(1).mean()
