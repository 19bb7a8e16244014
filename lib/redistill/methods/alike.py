r"""When WISE must fail: exits that err on the same clips have nothing to weight.

$$z_j(s) = (1-s)\, z_j + s\, z_J$$

Source: spec/claims.md P12.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import linregress
from torch import Tensor

from redistill.methods.cascade import Judged
from redistill.methods.ensembles import apply
from redistill.methods.wise import fit
from redistill.predict import accuracy

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)


def error_correlation(logits: Tensor, labels: Tensor) -> float:
    """Return the phi coefficient of the exits' errors, mean over all pairs of exits.

    Args:
        logits: (J, N, K).
        labels: (N,) int64.

    Returns:
        From -1 to 1, 1 for copies.  A pair with an exit that is always right or always wrong has
        no correlation and is left out; nan if all are.
    """
    errors = (logits.argmax(-1) != labels).double().cpu().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        phi = np.atleast_2d(np.corrcoef(errors))
    pairs = phi[np.triu_indices(len(phi), 1)]
    return float(np.nanmean(pairs)) if np.isfinite(pairs).any() else float("nan")


def made_alike(logits: Tensor, share: float) -> Tensor:
    """Return exits (J, N, K) blended with the last one: at 0 as they are, at 1 copies of it."""
    return torch.lerp(logits, logits[-1].expand_as(logits), share)


def gains(
    fitted: Judged, test: Judged, *, shares: Sequence[float] = SHARES, **recipe: Any
) -> pd.DataFrame:
    """Return what WISE gains, exits made more and more alike.

    Args:
        fitted: logits (J, N, K) and labels of the clips that weights and best exit are chosen on.
        test: logits and labels of other clips.
        shares: how much of the last exit is in each.
        recipe: l1, steps and lr of ``redistill.methods.wise.fit``.

    Returns:
        One line a share: share; correlation (of errors on test clips); wise, unit, best (test
        accuracies, shares of 1); over_unit and over_best (gains in points).
    """
    lines = []
    for share in shares:
        known, asked = (made_alike(z, share) for z in (fitted[0], test[0]))
        best = int(np.argmax(accuracy(known, fitted[1])))
        weights = torch.stack([fit(known, fitted[1], **recipe), known.new_ones(len(known))])
        wise, unit = accuracy(apply(weights, asked), test[1])
        alone = accuracy(asked[best], test[1])
        line = (share, error_correlation(asked, test[1]), wise, unit, alone)
        lines.append((*line, 100 * (wise - unit), 100 * (wise - alone)))
    names = ["share", "correlation", "wise", "unit", "best", "over_unit", "over_best"]
    return pd.DataFrame(lines, columns=names)


def slope(table: pd.DataFrame, gain: str = "over_best") -> float:
    """Return the least-squares slope of a gain, points per unit of correlation.

    Args:
        table: of ``gains``, or several put together.
        gain: "over_best" or "over_unit".

    Returns:
        nan if the correlations are fewer than two.
    """
    known = table.dropna(subset=["correlation"])
    if known["correlation"].nunique() < 2:
        return float("nan")
    return float(linregress(known["correlation"], known[gain]).slope)
