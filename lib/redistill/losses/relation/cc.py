r"""Correlation congruence: Gram matrices of the batch under a Gaussian kernel.

$$D = \tfrac1{B^2} \| K^s - K^t \|_F^2, \qquad
  K_{ij} = e^{-2\gamma} \sum_{p=0}^{2} \frac{(2\gamma)^p}{p!} (\hat z_i \cdot \hat z_j)^p,$$

the Taylor form of a Gaussian kernel between units $\hat z$.  Source: Peng et al., ICCV 2019.
RepDistiller's loss of this name multiplies neighbouring rows and depends on the order of the batch
(spec/substage.md 11.1); this one does not.
"""

import math

from torch import Tensor

from redistill.losses.rows import unit

_GAMMA, _ORDER = 0.4, 2


def cc(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of the kernel matrices.

    Args:
        student: embeddings (B, d).
        teacher: embeddings (B, e).
    """
    return (_kernel(student) - _kernel(teacher)).square().mean()


def _kernel(z: Tensor) -> Tensor:
    units = unit(z)
    cosine = units @ units.T
    terms = [(2 * _GAMMA) ** p / math.factorial(p) * cosine**p for p in range(_ORDER + 1)]
    return math.exp(-2 * _GAMMA) * sum(terms[1:], terms[0])
