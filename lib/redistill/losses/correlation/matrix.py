r"""Correlation of corresponding substages, third reading: how the branches correlate.

$$D = \sum_{\kappa < \kappa'} \bigl( \mathrm{CKA}(z_s^\kappa, z_s^{\kappa'})
      - \mathrm{CKA}(z_u^\kappa, z_u^{\kappa'}) \bigr)^2$$

Source: spec/substage.md 3.4, C3.  It needs all branches in one step, which their independence in
the figure rules out, so no arm uses it; it measures a trained cascade.
"""

from collections.abc import Sequence
from itertools import combinations

from torch import Tensor

from redistill.losses.relation.cka import cka


def matrix(lower: Sequence[Tensor], upper: Sequence[Tensor]) -> Tensor:
    """Return the squared difference of the branches' correlations.

    Args:
        lower: embeddings (B, d) of each branch at one level.
        upper: embeddings (B, e) of the same branches a level above.
    """
    pairs = combinations(range(len(lower)), 2)
    gaps = [cka(lower[i], lower[j]) - cka(upper[i], upper[j]) for i, j in pairs]
    return sum((gap.square() for gap in gaps), lower[0].sum() * 0)
