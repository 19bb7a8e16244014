r"""Similarity of the clips of a batch, pair by pair.

$$D = \tfrac1B \bigl\| \hat G^s - \hat G^t \bigr\|_F^2, \qquad G = Z Z^\top,$$

the rows of $\hat G$ of length one; in [0, 4].  Source: Tung and Mori, *Similarity-preserving*, ICCV
2019; spec/substage.md 3.3 (B times the value of RepDistiller's).
"""

from torch import Tensor

from redistill.losses.rows import full, unit


def sp(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the distance of the two similarity matrices.

    Args:
        student: embeddings (B, d).
        teacher: embeddings (B, e).
    """
    ours, target = (unit(z @ z.T) for z in (full(student), full(teacher)))
    return (ours - target).square().sum() / len(student)
