r"""Correlation of corresponding substages, first reading: $1 - \mathrm{CKA}(z^s, z^t)$.

Source: spec/substage.md 3.4, C1 (a reading: only the words are known).
"""

from torch import Tensor

from redistill.losses.relation.cka import cka


def pair(student: Tensor, teacher: Tensor) -> Tensor:
    """Return one minus the debiased alignment of embeddings (B, d) and (B, e)."""
    return 1 - cka(student, teacher)
