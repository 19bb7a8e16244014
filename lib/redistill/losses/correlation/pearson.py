r"""Correlation of corresponding substages, second reading: Pearson's, of the answers.

$$D = \operatorname{mean}_i (1 - r(p^s_{i\cdot}, p^t_{i\cdot}))
    + \operatorname{mean}_k (1 - r(p^s_{\cdot k}, p^t_{\cdot k}))$$

over the classes of a clip and over the clips of a class.  Source: Huang et al., *DIST*, NeurIPS
2022; spec/substage.md 3.4, C2.
"""

from torch import Tensor

from redistill.losses.rows import full, unit


def pearson(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the sum of both parts.

    Args:
        student: logits (B, K).
        teacher: logits (B, K).
    """
    ours, target = full(student).softmax(1), full(teacher).softmax(1)
    return _apart(ours, target) + _apart(ours.T, target.T)


def _apart(x: Tensor, y: Tensor) -> Tensor:
    x, y = (unit(z - z.mean(1, keepdim=True)) for z in (x, y))
    return (1 - (x * y).sum(1)).mean()
