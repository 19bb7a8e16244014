"""What the exits of all networks are worth: accuracies by arm, ensembles, and early exits.

Folds are pooled clip by clip; weights and thresholds are fitted in each fold by itself, on its
validation clips.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from redistill import stats
from redistill.methods import ensembles
from redistill.methods.cascade import cascade_costs, choose_threshold, curve, walk
from redistill.methods.ensembles import Ensemble
from redistill.methods.wise import stack
from redistill.train import Trained

REPORTED = (  # of the variants: WISE, WISE as released, and what it is compared with
    "wise", "wise_3", "unit", "divided", "plain", "plain_fused", "fusion_211", "fusion_learned",
)  # fmt: skip
EQUAL, LAST = "equal", "last"  # mean cost of the networks without ICs; everybody to the last exit


@dataclass(frozen=True)
class FoldExits:
    """What the exits say of the clips of one fold.

    Attributes:
        fold: its number.
        logits: split ("train" where kept, "val", "test") to arm to modality to (4, N, K).
        labels: split to (N,) int64.
        macs: modality to the cumulative MACs of a video at its network's 4 exits.
        plain: MACs of a video through the three networks without ICs.
        order: of the networks, "coded" or "text".
    """

    fold: int
    logits: Mapping[str, Mapping[str, Mapping[str, Tensor]]]
    labels: Mapping[str, Tensor]
    macs: Mapping[str, tuple[int, ...]]
    plain: int
    order: str = "coded"

    @property
    def costs(self) -> tuple[int, ...]:
        """MACs of a video that leaves at each of the 12 exits, in order."""
        return cascade_costs(self.macs, self.order)

    def stacked(self, arm: str) -> dict[str, Tensor]:
        """Return split to the logits of all exits in order, (12, N, K)."""
        return {
            split: stack(arms[arm], self.order)
            for split, arms in self.logits.items()
            if arm in arms
        }

    def ensembles(self, arm: str, **options: Any) -> dict[str, Ensemble]:
        """Return the variants of one arm; options as ``redistill.methods.ensembles.ensembles``."""
        stacked = self.stacked(arm)
        labels = {split: self.labels[split] for split in stacked}
        return ensembles.ensembles(stacked, labels, order=self.order, **options)

    def threshold(self, found: Ensemble, *, choose_on: str = "val") -> float:
        """Return the threshold under which clips cost, on average, what they do without ICs."""
        known = found.scores[choose_on], self.labels[choose_on]
        return choose_threshold(*known, self.costs, budget=self.plain).threshold


def exit_table(folds: Sequence[FoldExits]) -> pd.DataFrame:
    """Return the accuracy of every exit of every arm, folds pooled.

    Returns:
        Columns split, arm, modality, exit (1 to 4), accuracy, low, high (Wilson), n.
    """
    lines = []
    for split in ("val", "test"):
        for arm, networks in folds[0].logits[split].items():
            for modality in networks:
                hits = torch.cat([_hits(fold, split, arm, modality) for fold in folds], dim=1)
                for number, row in enumerate(hits, start=1):
                    interval = stats.wilson(int(row.sum()), len(row))
                    ends = interval.mean, interval.low, interval.high, len(row)
                    lines.append((split, arm, modality, number, *ends))
    names = ["split", "arm", "modality", "exit", "accuracy", "low", "high", "n"]
    return pd.DataFrame(lines, columns=names)


def _hits(fold: FoldExits, split: str, arm: str, modality: str) -> Tensor:
    return fold.logits[split][arm][modality].argmax(-1) == fold.labels[split]


def arm_table(exits: pd.DataFrame) -> pd.DataFrame:
    """Return the mean accuracy over the nine ICs: columns split, arm, accuracy, n."""
    ics = exits[exits["exit"] < 4].groupby(["split", "arm"], sort=False)
    return ics.agg(accuracy=("accuracy", "mean"), n=("n", "first")).reset_index()


def ensemble_table(
    folds: Sequence[FoldExits],
    *,
    arm: str,
    names: Iterable[str] = REPORTED,
    choose_on: str = "val",
    **options: Any,
) -> pd.DataFrame:
    """Return what each variant makes of the exits of one arm, folds pooled.

    At ``last`` everybody goes to the last exit; at ``equal`` clips leave early, by a threshold
    under which the mean cost on validation clips is at most that of the networks without ICs.

    Args:
        folds: of all folds.
        arm: whose ICs.
        names: of ``redistill.methods.ensembles.VARIANTS``.
        choose_on: the split on which thresholds are chosen; ``test`` measures the optimism of it.
        **options: of the fit: ``fit_on``, and the recipe of ``fit_prefixes``.

    Returns:
        Columns variant, exit, accuracy, low, high, n, macs (mean of a video), early (share).
    """
    lines = []
    fitted = [fold.ensembles(arm, names=names, **options) for fold in folds]
    for name in fitted[0]:
        for point in (LAST, EQUAL):
            parts = [
                _answers(fold, found[name], point, choose_on)
                for fold, found in zip(folds, fitted, strict=True)
            ]
            hits, macs, early = (torch.cat(column) for column in zip(*parts, strict=True))
            interval = stats.wilson(int(hits.sum()), len(hits))
            ends = interval.mean, interval.low, interval.high, len(hits)
            lines.append((name, point, *ends, macs.mean().item(), early.mean().item()))
    names = ["variant", "exit", "accuracy", "low", "high", "n", "macs", "early"]
    return pd.DataFrame(lines, columns=names)


def _answers(
    fold: FoldExits, found: Ensemble, point: str, choose_on: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return hits, cost and whether it left early, for each test clip, (N,) each."""
    scores, labels = found.scores["test"], fold.labels["test"]
    if len(scores) == 1:  # late fusion needs no ICs: it has one exit and one cost
        hits = scores[0].argmax(-1) == labels
        return hits, torch.full(hits.shape, float(fold.plain)).double(), torch.zeros(hits.shape)
    threshold = 1.0
    if point == EQUAL:
        threshold = fold.threshold(found, choose_on=choose_on)
    walked = walk(scores, threshold)
    early = (walked.exit < len(scores) - 1).float()
    return walked.predicted == labels, torch.tensor(fold.costs).double()[walked.exit], early


def tradeoff_table(
    folds: Sequence[FoldExits], *, arm: str, names: Iterable[str], points: int = 11
) -> pd.DataFrame:
    """Return accuracy and mean cost over thresholds, which nobody chose: means over all test clips.

    Returns:
        Columns variant, threshold, accuracy, macs, early.
    """
    steps = torch.linspace(0, 1, points).double()
    levels = torch.cat([steps, 1 - torch.logspace(-1, -7, 7).double()]).sort().values.tolist()
    tables = []
    for fold in folds:
        share = len(fold.labels["test"]) / sum(len(f.labels["test"]) for f in folds)
        for name, found in fold.ensembles(arm, names=names).items():
            judged = found.scores["test"], fold.labels["test"]
            one = len(found.weights) == 1
            table = curve(judged, (fold.plain,) if one else fold.costs, [1.0] if one else levels)
            weighted = table.drop(columns="threshold") * share
            tables.append(weighted.assign(variant=name, threshold=table["threshold"]))
    summed = pd.concat(tables).groupby(["variant", "threshold"], sort=False).sum()
    return summed.round({"accuracy": 4, "macs": 0, "early": 4}).reset_index()


def epoch_optimism(exits: Mapping[str, Trained], labels: Tensor, number: int) -> dict[str, float]:
    """Return what choosing each IC's epoch on test clips adds, as the released code does.

    Args:
        exits: modality to its trained ICs, with what was watched (test) and noted (validation).
        labels: of the test clips, (N,).
        number: of the arm.

    Returns:
        Mean accuracy over the nine ICs with the epoch chosen on "test", on "val", and the "last".
    """
    chosen: dict[str, list[float]] = {"test": [], "val": [], "last": []}
    for each in exits.values():
        right = (each.watched[:, number] == labels).float().mean(-1)  # (epochs, E)
        noted = torch.tensor([line["val"][number] for line in each.journal])
        for ic in range(right.shape[1]):
            chosen["test"].append(right[:, ic].max().item())
            chosen["val"].append(right[int(noted[:, ic].argmax()), ic].item())
            chosen["last"].append(right[-1, ic].item())
    return {name: sum(values) / len(values) for name, values in chosen.items()}
