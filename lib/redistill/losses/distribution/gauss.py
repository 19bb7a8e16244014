r"""Distance of two clouds of features by their means and covariances.

$$D = \tfrac1d \|\mu_s - \mu_t\|^2 + \tfrac1{d^2} \|\Sigma_s - \Sigma_t\|_F^2,$$

both sides over the teacher's standard deviation per dimension; covariances with 1/B.  Source:
spec/substage.md 6 R1 (a reading: the paper's loss is not public).
"""

from torch import Tensor

from redistill.losses.rows import full

_FLOOR = 1e-3  # added to the deviation


def gauss(student: Tensor, teacher: Tensor, *, deviation: Tensor | None = None) -> Tensor:
    """Return the distance.

    Args:
        student: embeddings (B, d), in the teacher's dimensions.
        teacher: embeddings (B, d).
        deviation: (d,) of the teacher; of this batch if not given.
    """
    student, teacher = full(student), full(teacher)
    if deviation is None:
        deviation = teacher.std(0, correction=0)
    a, b = (x / (deviation.detach() + _FLOOR) for x in (student, teacher))
    d = a.shape[1]
    means = (a.mean(0) - b.mean(0)).square().sum() / d
    return means + (_covariance(a) - _covariance(b)).square().sum() / d**2


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / len(x)
