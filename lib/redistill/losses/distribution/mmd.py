r"""Maximum mean discrepancy of two clouds of features, under five Gaussian kernels.

$$D = \overline{k(s, s)} + \overline{k(t, t)} - 2\, \overline{k(s, t)}, \qquad
  k(x, y) = \sum_{m \in \{1/4, 1/2, 1, 2, 4\}} e^{-\|x - y\|^2 / (m\, \tilde d)},$$

the biased estimate; $\tilde d$ is the median squared distance of different clips, both sides
together, without gradient.  Source: Gretton et al. 2012; spec/substage.md 6 R1.
"""

import torch
from torch import Tensor

from redistill.losses.rows import full

_BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
_TINY = 1e-12


def mmd(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the discrepancy, not negative.

    Args:
        student: embeddings (B, d), in the teacher's dimensions.
        teacher: embeddings (B, d).
    """
    both = torch.cat([full(student), full(teacher)])
    squared = (both[:, None] - both[None]).square().sum(2)
    # A comparison with 0 would take rounding on the diagonal for distances (spec 10.12).
    apart = ~torch.eye(len(both), dtype=torch.bool, device=both.device)
    median = squared.detach()[apart].median().clamp_min(_TINY)
    kernel = sum(torch.exp(-squared / (m * median)) for m in _BANDWIDTHS)
    n = len(student)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
