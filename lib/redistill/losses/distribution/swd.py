r"""Sliced Wasserstein distance of two clouds: along random lines, sorted, clip by clip.

$$D = \operatorname{mean}_\theta \tfrac1B \sum_i
      \bigl( (s \cdot \theta)_{(i)} - (t \cdot \theta)_{(i)} \bigr)^2$$

Source: Rabin et al. 2011; spec/substage.md 6 R1.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.losses.rows import full

_LINES = 64


def swd(student: Tensor, teacher: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Return the squared distance, mean over 64 lines.

    Args:
        student: embeddings (B, d), in the teacher's dimensions.
        teacher: embeddings (B, d).
        generator: of the lines; torch's own, which a phase seeds and restores, if not given.
    """
    student, teacher = full(student), full(teacher)
    lines = torch.randn(_LINES, student.shape[1], generator=generator).to(student)
    lines = F.normalize(lines, dim=1)
    ours, target = ((x @ lines.T).sort(0).values for x in (student, teacher))
    return (ours - target).square().mean()
