r"""Probabilistic knowledge transfer: the clips that a clip is near to, as a distribution.

$$D = \tfrac1B \sum_i \mathrm{KL}(p^t_i \| p^s_i), \qquad
  p_{ij} = \frac{(1 + \cos(z_i, z_j))/2}{\sum_k (1 + \cos(z_i, z_k))/2}.$$

Source: Passalis and Tefas, ECCV 2018.
"""

from torch import Tensor

from redistill.losses.rows import unit

_TINY = 1e-7


def pkt(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the divergence of the neighbourhoods.

    Args:
        student: embeddings (B, d).
        teacher: embeddings (B, e).
    """
    ours, target = (_neighbours(z) for z in (student, teacher))
    return (target * (target.log() - ours.log())).sum(1).mean()


def _neighbours(z: Tensor) -> Tensor:
    units = unit(z)
    near = (1 + units @ units.T).clamp_min(_TINY) / 2
    return near / near.sum(1, keepdim=True)
