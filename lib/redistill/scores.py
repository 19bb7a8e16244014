"""Accuracies of several networks and their fusion, pooled over the folds of a small data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from redistill import stats
from redistill.methods.fusion import late_fusion


@dataclass(frozen=True)
class FoldScores:
    """What the networks say of the clips of one fold.

    Attributes:
        fold: its number.
        logits: split ("val" or "test") to modality to (N, K).
        labels: split to (N,) int64.
    """

    fold: int
    logits: Mapping[str, Mapping[str, Tensor]]
    labels: Mapping[str, Tensor]

    def hits(self, split: str) -> dict[str, Tensor]:
        """Return which clips each network gets right, and their 2:1:1 fusion: bool (N,)."""
        scores = dict(self.logits[split]) | {"fused": late_fusion(self.logits[split])}
        return {name: z.argmax(1) == self.labels[split] for name, z in scores.items()}


def pooled(folds: Sequence[FoldScores]) -> pd.DataFrame:
    """Return accuracies with Wilson intervals, the predictions of all folds put together.

    A clip of a leave-one-out data set is tested in exactly one fold, so pooling counts each clip
    once; of validation clips it may count one several times.

    Returns:
        Columns split, modality, accuracy, low, high (shares of 1) and n (clips).
    """
    lines = []
    for split in ("val", "test"):
        hits = [fold.hits(split) for fold in folds]
        for name in hits[0]:
            right = sum(int(h[name].sum()) for h in hits)
            n = sum(len(h[name]) for h in hits)
            interval = stats.wilson(right, n)
            lines.append((split, name, right / n, interval.low, interval.high, n))
    return pd.DataFrame(lines, columns=["split", "modality", "accuracy", "low", "high", "n"])


def by_fold(folds: Sequence[FoldScores], split: str = "test") -> pd.DataFrame:
    """Return one line a fold: accuracy of each network and of the fusion, and n."""
    return pd.DataFrame(
        {"fold": f.fold, "n": len(f.labels[split])}
        | {name: h.float().mean().item() for name, h in f.hits(split).items()}
        for f in folds
    )
