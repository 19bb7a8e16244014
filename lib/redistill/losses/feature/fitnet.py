r"""Plain mean squared error of maps of features: $D = \operatorname{mean}\,(F^s - F^t)^2$.

Source: Romero et al., *FitNets*, ICLR 2015, its hint loss up to a factor.
"""

from torch import Tensor

from redistill.losses.feature.match import match
from redistill.losses.rows import full


def fitnet(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error.

    Args:
        student: (B, C, T, H, W), in the teacher's channels.
        teacher: (B, C, T, H, W); the larger of both is averaged to the smaller grid.
    """
    ours, target = match(full(student), full(teacher))
    return (ours - target).square().mean()
