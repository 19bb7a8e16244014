r"""Where a network looks: the mean square over channels, of length one.

$$D = \tfrac1B \sum_i \bigl\| n(a^s_i) - n(a^t_i) \bigr\|^2, \qquad
  a_i = \operatorname{mean}_c F_{i,c}^2,$$

over time and space alike.  Source: Zagoruyko and Komodakis, *Attention transfer*, ICLR 2017.
"""

from torch import Tensor

from redistill.losses.feature.match import match
from redistill.losses.rows import full, unit


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared distance of normalised attention maps.

    Args:
        student: (B, C, T, H, W).
        teacher: (B, D, T, H, W); channels may differ.
    """
    maps = match(full(student), full(teacher))
    ours, target = (unit(x.square().mean(1).flatten(1)) for x in maps)
    return (ours - target).square().sum(1).mean()
