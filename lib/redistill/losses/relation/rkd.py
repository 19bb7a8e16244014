r"""Relations of pairs and triples: distances and angles between the clips of a batch.

$$D = 25\, \operatorname{mean}_{i \ne j} h\Bigl(\tfrac{d^s_{ij}}{\bar d^s},
      \tfrac{d^t_{ij}}{\bar d^t}\Bigr)
    + 50\, \operatorname{mean}_{i \ne j \ne k} h\bigl(\cos\angle^s_{ijk},
      \cos\angle^t_{ijk}\bigr)$$

with h the Huber loss.  Source: Park et al., CVPR 2019; weights as RepDistiller's.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from redistill.losses.rows import several, unit

_TINY = 1e-12


def rkd(student: Tensor, teacher: Tensor, *, distance: float = 25.0, angle: float = 50.0) -> Tensor:
    """Return the loss over pairs and triples of different clips.

    Args:
        student: embeddings (B, d).
        teacher: embeddings (B, e).
        distance: weight of the pairs.
        angle: weight of the triples.

    Raises:
        ConfigError: fewer than 3 clips.
    """
    student, teacher = several(student, 3, "RKD"), several(teacher, 3, "RKD")
    apart = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    pairs = F.smooth_l1_loss(_distances(student, apart), _distances(teacher, apart))
    # i is the corner; j and k differ from it and from each other.
    triples = apart[:, :, None] & apart[:, None, :] & apart[None, :, :]
    angles = F.smooth_l1_loss(_angles(student)[triples], _angles(teacher)[triples])
    return distance * pairs + angle * angles


def _distances(z: Tensor, apart: Tensor) -> Tensor:
    """Return the distances of different clips over their mean."""
    squared = (z[:, None] - z[None]).square().sum(2)[apart]
    lengths = squared.clamp_min(_TINY).sqrt()  # the root has no gradient at 0
    return lengths / lengths.mean().clamp_min(_TINY)


def _angles(z: Tensor) -> Tensor:
    """Return the cosine of the angle at clip i between clips j and k, (B, B, B)."""
    towards = unit(z[None] - z[:, None])
    return towards @ towards.transpose(1, 2)
