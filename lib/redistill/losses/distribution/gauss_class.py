r"""Distance of the clouds of each class, over a queue of recent clips.

$$D = \operatorname{mean}_k \Bigl[ \tfrac1d \|\mu^s_k - \mu^t_k\|^2
      + \tfrac1{d^2} \|\Sigma^s_k - \Sigma^t_k\|_F^2 \Bigr]$$

over classes with at least four clips, counted softly by their labels.  A batch is too small: its
covariance has at most rank B - 1.  Source: spec/substage.md 6 R1.
"""

import torch
from torch import Tensor, nn

from redistill.losses.rows import full

_LEAST, _TINY, _FLOOR = 4.0, 1e-6, 1e-3


class Queue(nn.Module):
    """The last clips seen: embeddings of both sides and labels; saved with the network.

    Args:
        dimensions: of the embeddings.
        classes: of the labels.
        length: clips that are kept.
    """

    def __init__(self, dimensions: int, classes: int, *, length: int = 512) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("student", torch.zeros(length, dimensions))
        self.register_buffer("teacher", torch.zeros(length, dimensions))
        self.register_buffer("weights", torch.zeros(length, classes))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def extend(self, student: Tensor, teacher: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Return the batch followed by what was kept, and keep the batch, without gradients."""
        known = int(self.filled)
        found = []
        for name, new in (("student", student), ("teacher", teacher), ("weights", labels)):
            old = getattr(self, name)
            found.append(torch.cat([new, old[:known]]))
            setattr(self, name, torch.cat([new.detach(), old])[: self.length])
        self.filled.fill_(min(self.length, known + len(student)))
        return tuple(found)


def gauss_class(student: Tensor, teacher: Tensor, labels: Tensor, *, queue: Queue) -> Tensor:
    """Return the mean distance over the classes that are there.

    Args:
        student: embeddings (B, d), in the teacher's dimensions.
        teacher: embeddings (B, d).
        labels: (B, K), soft.
        queue: changed by this call.
    """
    a, b, weights = queue.extend(full(student), full(teacher), full(labels))
    deviation = b.std(0, correction=0).detach() + _FLOOR
    a, b = a / deviation, b / deviation
    counts = weights.sum(0)
    there = counts >= _LEAST
    if not there.any():
        return student.sum() * 0
    shares = (weights / counts.clamp_min(_TINY))[:, there]
    gaps = [_gap(a, b, share) for share in shares.T]
    return torch.stack(gaps).mean()


def _gap(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    d = a.shape[1]
    (mean, spread), (other, width) = (_moments(x, share) for x in (a, b))
    return (mean - other).square().sum() / d + (spread - width).square().sum() / d**2


def _moments(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    mean = share @ x
    centred = x - mean
    return mean, (centred * share[:, None]).T @ centred
