"""Tables that the notebooks show and draw."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from redistill.exit_scores import EQUAL, FoldExits
from redistill.figures import compensate
from redistill.methods.alike import gains as alike_gains
from redistill.methods.arms import Arm
from redistill.train import Trained
from redistill.video import Gop


def gop(pictures: Gop) -> pd.DataFrame:
    """Return one line a frame of a GOP, all in grey levels of 255.

    Returns:
        Columns frame; motion (mean length of the accumulated vectors, pixels); change (mean
        absolute difference to the I-frame); residual (what of it motion leaves over); error
        (largest difference between the frame and the moved I-frame plus residual).
    """
    intra = pictures.frame(0)
    lines = []
    for pos in range(len(pictures)):
        frame = pictures.frame(pos).astype(np.int16)
        motion, residual = pictures.motion(pos), pictures.residual(pos)
        rebuilt = compensate(intra, motion) + residual
        line = {
            "frame": pos,
            "motion": float(np.hypot(motion[..., 0], motion[..., 1]).mean()),
            "change": np.abs(frame - intra).mean(),
            "residual": np.abs(residual).mean(),
            "error": int(np.abs(rebuilt - frame).max()),
        }
        lines.append(line)
    return pd.DataFrame(lines)


def journal(trained: Mapping[str, Trained]) -> pd.DataFrame:
    """Return the journals of several networks: columns modality, epoch, loss, val."""
    parts = [pd.DataFrame(each.journal).assign(modality=name) for name, each in trained.items()]
    return pd.concat(parts, ignore_index=True)[["epoch", "loss", "val", "modality"]]


def mean_journal(journals: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean over folds of journals, in the order of the first."""
    both = pd.concat(journals).groupby(["modality", "epoch"], sort=False)
    table = both[["loss", "val"]].mean().round(4).reset_index()
    every = -(-int(table["epoch"].max()) // 10)  # no more points than a small figure shows
    return table[(table["epoch"] % every == 1 % every) | (table["epoch"] == table["epoch"].max())]


def teachers(arms: Sequence[Arm]) -> pd.DataFrame:
    """Return who teaches when: columns arm, teacher, start, end (shares of the steps)."""
    lines = []
    for arm in arms:
        start = 0.0
        for teacher, share in arm.teachers or (("labels", 1.0),):
            lines.append((arm.name, teacher, round(start, 6), round(start + share, 6)))
            start += share
    return pd.DataFrame(lines, columns=["arm", "teacher", "start", "end"])


def gains(mean: pd.DataFrame, *, over: str) -> pd.DataFrame:
    """Return each arm's gain over another, in points: columns arm, val, test."""
    square = 100 * mean.pivot(index="arm", columns="split", values="accuracy")
    table = (square - square.loc[over]).loc[mean["arm"].unique()].drop(over)
    return table.dropna()[["val", "test"]].reset_index()


def operating_points(ensembles: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the points at equal cost: columns variant, macs, accuracy, label."""
    rows = ensembles[(ensembles["exit"] == EQUAL) & ensembles["variant"].isin(names)]
    return rows.assign(label=rows["variant"])[["variant", "macs", "accuracy", "label"]]


def alike(folds: Sequence[FoldExits], *, arm: str) -> pd.DataFrame:
    """Return ``redistill.methods.alike.gains`` of each fold, told apart by a column run."""
    parts = []
    for fold in folds:
        stacked = fold.stacked(arm)
        known, asked = ((stacked[split], fold.labels[split]) for split in ("val", "test"))
        parts.append(alike_gains(known, asked).assign(run=fold.fold))
    return pd.concat(parts, ignore_index=True)
