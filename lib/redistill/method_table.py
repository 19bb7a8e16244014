"""The table of all methods of a study: what each gave, and what it cost.

Folds are pooled clip by clip, as ``redistill.exit_scores`` does it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch

from redistill import stats
from redistill.methods.baselines import SPLITS

if TYPE_CHECKING:
    from redistill.methods.spectrum_study import SpectrumStudy
    from redistill.methods.substage_study import SubstageStudy


def method_table(
    studies: Sequence["SubstageStudy | SpectrumStudy"], *, first: Sequence[str], unit: str
) -> pd.DataFrame:
    """Return what each method gave, folds pooled clip by clip.

    Args:
        studies: a fold each.
        first: arms that stand first, in this order; the others follow as they were trained.
        unit: the arm whose training costs 1.

    Returns:
        Columns arm, split, accuracy, low, high (Wilson), n; training (multiply-accumulates, all
        folds, the teacher's not counted but in its own line) and inference (of one clip); relative
        (training over that of ``unit``; missing without it).
    """
    lines, known = [], studies[0].arms
    rank = {arm: place for place, arm in enumerate(first)}
    for split in SPLITS:
        truth = torch.cat([study.labels[split] for study in studies])
        for arm in sorted(known, key=lambda arm: rank.get(arm, len(rank))):
            logits = torch.cat([study.arms[arm].logits[split] for study in studies])
            hits = logits.argmax(1) == truth
            interval = stats.wilson(int(hits.sum()), len(hits))
            training = sum(study.arms[arm].training for study in studies)
            ends = interval.mean, interval.low, interval.high, interval.n
            lines.append((arm, split, *ends, training, known[arm].inference))
    names = ["arm", "split", "accuracy", "low", "high", "n", "training", "inference"]
    table = pd.DataFrame(lines, columns=names)
    one = table.loc[table["arm"] == unit, "training"].to_list()
    return table.assign(relative=table["training"] / one[0] if one else float("nan"))
