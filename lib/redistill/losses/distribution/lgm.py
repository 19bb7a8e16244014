r"""Large-margin Gaussian mixture around the teacher's class means.

With $d_k = \tfrac12 \|z - \mu_k\|^2$ and the distance to the own class enlarged by $1 + \alpha$,

$$D = \tfrac1B \sum_i \Bigl[ -\log \frac{e^{-(1 + \alpha) d_y}}
      {e^{-(1 + \alpha) d_y} + \sum_{k \ne y} e^{-d_k}} + \lambda\, d_y \Bigr],$$

distances over the number of dimensions.  Means are the teacher's, of the classes in the batch: that
makes it a loss of distillation.  Source: Wan et al., CVPR 2018; spec/substage.md 6 R1.
"""

from torch import Tensor
from torch.nn import functional as F

from redistill.losses.rows import full


def lgm(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.1,
    likelihood: float = 0.1,
) -> Tensor:
    """Return the loss.

    Args:
        student: embeddings (B, d), in the teacher's dimensions.
        teacher: embeddings (B, d).
        labels: (B,) int64.
        margin: alpha.
        likelihood: weight of the distance to the own mean.
    """
    student, teacher = full(student), full(teacher)
    there, place = labels.unique(return_inverse=True)
    member = F.one_hot(place, len(there)).to(teacher)
    means = member.T @ teacher / member.sum(0)[:, None]
    apart = (student[:, None] - means).square().mean(2) / 2
    own = apart.gather(1, place[:, None])[:, 0]
    logits = -apart - margin * own[:, None] * member
    return F.cross_entropy(logits, place) + likelihood * own.mean()
