r"""Distance of two maps of features, each of length one.

$$D = \tfrac1B \sum_i \bigl\| n(F^s_i) - n(F^t_i) \bigr\|^2, \qquad n(v) = v / \|v\|_2,$$

in [0, 4].  Source: spec/substage.md 3.2.
"""

from torch import Tensor

from redistill.losses.feature.match import match
from redistill.losses.rows import unit


def norm_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared distance of normalised maps.

    Args:
        student: (B, C, T, H, W), in the teacher's channels.
        teacher: (B, C, T, H, W); the larger of both is averaged to the smaller grid.
    """
    ours, target = (unit(x.flatten(1)) for x in match(student, teacher))
    return (ours - target).square().sum(1).mean()
