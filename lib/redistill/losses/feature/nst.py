r"""Which patterns channels fire in: a maximum mean discrepancy between channels as samples.

Each channel's map over time and space is a sample of length one; with the kernel $k(x, y) = (x
\cdot y)^2$,

$$D = \operatorname{mean} k(f^s, f^s) + \operatorname{mean} k(f^t, f^t)
      - 2 \operatorname{mean} k(f^s, f^t).$$

Source: Huang and Wang, *Neuron selectivity transfer*, 2017.
"""

from torch import Tensor

from redistill.losses.feature.match import match
from redistill.losses.rows import unit


def nst(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the discrepancy, mean over the batch.

    Args:
        student: (B, C, T, H, W).
        teacher: (B, D, T, H, W); channels may differ.
    """
    ours, target = (unit(x.flatten(2)) for x in match(student, teacher))
    return _kernel(ours, ours) + _kernel(target, target) - 2 * _kernel(ours, target)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.transpose(1, 2)).square().mean()
