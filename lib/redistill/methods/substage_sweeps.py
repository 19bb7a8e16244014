"""Series of notebook 1: the study again at several label shares, noise rates, gaps, or pairs.

Source: spec/substage.md 8.4 (T1, T2, T4); spec/claims.md S6, S10, S11.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

import pandas as pd

from redistill.feeds import Feeds
from redistill.live import Line
from redistill.methods.baselines import Arm, width_macs
from redistill.methods.branches import training_macs
from redistill.methods.substage import SubstageConfig
from redistill.methods.substage_study import study_fold, weak_labels
from redistill.modality import RGB
from redistill.sweeps import gap_slope, label_area
from redistill.video.splits import Clip

FRACTIONS = (0.05, 0.1, 0.2, 0.5, 1.0)
RATES = (0.0, 0.2, 0.4, 0.6)
GAPS = (("narrow", 2), ("middle", 3), ("wide", 5))  # teacher's width over the student's, about
PAIR_ARMS = ("kd", "fitnet", "sp", "joint", "staged")


@dataclass(frozen=True)
class Point:
    """One study of a series.

    Attributes:
        sweep: ``labels``, ``noise``, ``gaps`` or ``pairs``.
        point: the label share, the noise rate, or a name.
        gap: logarithm of the teacher's width over the student's.
        config: of the study.
    """

    sweep: str
    point: float | str
    gap: float
    config: SubstageConfig


def points(config: SubstageConfig, sweep: str) -> Iterator[Point]:
    """Yield the studies of a series; each trains the few arms that the series compares."""
    base = replace(config, sweeps=(), also=())
    if sweep == "labels":
        for share in FRACTIONS:
            arms = ("trusted", "kd", "staged")
            yield _point(sweep, share, base, weak_mode="few", label_frac=share, arms=arms)
    elif sweep == "noise":
        for rate in RATES:
            arms = ("raw", "refined", "kd", "staged")
            yield _point(sweep, rate, base, weak_mode="noisy", noise_rate=rate, arms=arms)
    elif sweep == "gaps":
        for name, width in _widths(base):
            yield _point(sweep, name, base, student_width=width, arms=("staged_m1", "staged_m0"))
    else:
        near_and_far = _widths(base)[0][1], _widths(base)[-1][1]
        for t, network in enumerate(_pair_networks(base), start=1):
            for s, width in enumerate(near_and_far, start=1):
                changes = {"student_width": width, "teacher_network": network, "n_assistants": 0}
                yield _point(sweep, f"t{t}s{s}", base, arms=PAIR_ARMS, **changes)


def run_sweep(
    config: SubstageConfig,
    sweep: str,
    feeds: Feeds,
    clips: Sequence[Clip],
    *,
    classes: int,
    device: str,
    line: Line,
) -> pd.DataFrame:
    """Run a series on one fold.

    Args:
        config: of notebook 1.
        sweep: its name.
        feeds: the clips of the fold.
        clips: training clips of the split.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.
        line: told how far it is.

    Returns:
        Columns sweep, point, gap, arm, accuracy (share of test clips).  In ``gaps`` the method
        without assistants has trained as long, in multiply-accumulates, as the one with.
    """
    rows = []
    for point in points(config, sweep):
        asked = [point.config]
        if sweep == "gaps":
            asked = _equal_compute(point, classes=classes)
        for own in asked:
            weak = weak_labels(own, clips, feeds.train[RGB].clips, classes=classes)
            how = {"classes": classes, "device": device, "line": line}
            study = study_fold(own, feeds, weak, 0, **how)
            for name, arm in study.arms.items():
                if name == "teacher" or (name.startswith("staged") and "_single" not in name):
                    continue
                accuracy = _accuracy(arm, study.labels["test"])
                rows.append((sweep, point.point, point.gap, name, accuracy))
    return pd.DataFrame(rows, columns=["sweep", "point", "gap", "arm", "accuracy"])


def rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield what the ledger reads of a series: dicts of name, value, unit and keys.

    ``label_area`` (S10): accuracy over the logarithm of the label share, by arm.
    ``assistant_gain`` and ``gap_slope`` (S6): what an assistant gains at each gap, and the slope of
    that over the logarithm of the ratio of widths.  ``pair_accuracy`` (S11): by arm and pair.
    """
    sweep = table["sweep"].iloc[0]
    if sweep == "labels":
        for arm, part in table.groupby("arm", sort=False):
            area = label_area(part["point"].tolist(), (100 * part["accuracy"]).tolist())
            yield {"name": "label_area", "value": area, "unit": "points", "arm": arm}
    elif sweep == "gaps":
        wide = table.pivot(index=["point", "gap"], columns="arm", values="accuracy").reset_index()
        gains = 100 * (wide["staged_m1_single"] - wide["staged_m0_single"])
        for gap, gain in zip(wide["point"], gains, strict=True):
            yield {"name": "assistant_gain", "value": gain, "unit": "points", "gap": gap}
        slope = gap_slope(wide["gap"].tolist(), gains.tolist())
        yield {"name": "gap_slope", "value": slope, "unit": "points per unit of gap"}
    elif sweep == "pairs":
        for row in table.itertuples():
            about = {"arm": row.arm, "pair": row.point}
            yield {"name": "pair_accuracy", "value": row.accuracy, "unit": "fraction"} | about
    else:
        for row in table.itertuples():
            about = {"arm": row.arm, "noise": str(row.point)}
            yield {"name": "noise_accuracy", "value": row.accuracy, "unit": "fraction"} | about


def _point(sweep: str, point: float | str, base: SubstageConfig, **changes: object) -> Point:
    config = replace(base, **changes)
    return Point(sweep, point, log(config.teacher_width / config.student_width), config)


def _widths(config: SubstageConfig) -> list[tuple[str, int]]:
    """Return the students' widths by gap, the widest gap last."""
    found = [(name, max(2, round(config.teacher_width / ratio))) for name, ratio in GAPS]
    return [(name, width) for name, width in found if width < config.teacher_width - 1]


def _pair_networks(config: SubstageConfig) -> tuple[str, str]:
    """Return two kinds of teacher: with the students' sense of time, and without."""
    return config.network, config.network.replace("shift", "tsn")


def _equal_compute(point: Point, *, classes: int) -> list[SubstageConfig]:
    """Return the study with an assistant, and the one without at the same cost of training."""
    with_one = replace(point.config, n_assistants=1, arms=("staged_m1",))
    without = replace(point.config, n_assistants=0, arms=("staged_m0",))
    costs = [training_macs(c, width_macs(c, classes=classes)) for c in (with_one, without)]
    return [with_one, replace(without, steps=round(without.steps * costs[0] / costs[1]))]


def _accuracy(arm: Arm, labels: object) -> float:
    return (arm.logits["test"].argmax(1) == labels).double().mean().item()
