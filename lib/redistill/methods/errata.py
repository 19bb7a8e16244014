"""One table of what each known defect of the released code changes in what is measured here.

Source: spec/progressive.md 8.  ``as_released`` is the authors' code, ``as_printed`` what the
abstract says where that is another thing, ``corrected`` what this suite does by default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from redistill.exit_scores import EQUAL, LAST, FoldExits, arm_table, ensemble_table, exit_table
from redistill.methods.study import Study


@dataclass(frozen=True)
class Erratum:
    """One defect and what it does.

    Attributes:
        defect: in a few words.
        source: section of spec/progressive.md.
        measure: what the three numbers are.
        as_released: with the defect.
        corrected: without it.
        as_printed: where the abstract says something else; None: it says nothing.
    """

    defect: str
    source: str
    measure: str
    as_released: float
    corrected: float
    as_printed: float | None = None

    @property
    def effect(self) -> float:
        """As released minus corrected; minus as printed, where the two readings are at odds."""
        return self.as_released - (self.corrected if self.as_printed is None else self.as_printed)


def training_errata(folds: Sequence[FoldExits]) -> list[Erratum]:
    """Return what the released training does to the ICs, of the arms that were trained.

    Accuracies are means over nine ICs on test clips, gains are differences of them, in per cent
    and points.
    """
    exits = exit_table(folds)
    test = arm_table(exits)
    mean = test[test["split"] == "test"].set_index("arm")["accuracy"] * 100
    rows = [
        ("twice the steps for PKD", "8.1.2", "PKD minus CE", ("pkd_long", "ce"), ("pkd", "ce")),
        ("CE given as many steps", "8.1.2", "PKD minus CE", ("pkd_long", "ce_long"), ("pkd", "ce")),
        ("output biases fixed in PKD", "8.1.3", "mean of ICs", ("pkd_bias",), ("pkd",)),
        ("BatchNorm drifts, PKD", "8.1.4", "mean of ICs", ("pkd_drift",), ("pkd",)),
        ("BatchNorm drifts, CE", "8.1.4", "mean of ICs", ("ce_drift",), ("ce",)),
        ("whole recipe", "4.3", "PKD minus CE", ("pkd_released", "ce_released"), ("pkd", "ce")),
        (
            "whole recipe: steps fall as teachers change",
            "8.1.2",
            "PKD minus reversed",
            ("pkd_released", "anticurriculum_released"),
            ("pkd", "anticurriculum"),
        ),
    ]
    found = [
        Erratum(defect, source, measure, _gain(mean, released), _gain(mean, corrected))
        for defect, source, measure, released, corrected in rows
        if {*released, *corrected} <= set(mean.index)
    ]
    if {"pkd_iframe", "pkd", "ce"} <= set(mean.index):
        gain, printed = _gain(mean, ("pkd", "ce")), _gain(mean, ("pkd_iframe", "ce"))
        name = "chain ends at the own last exit"
        found.insert(0, Erratum(name, "8.1.1", "PKD minus CE", gain, gain, printed))
    last = exits[(exits["split"] == "test") & (exits["exit"] == 4)].groupby("arm")["accuracy"]
    if {"pkd_drift", "pkd"} <= set(last.groups):
        drifted, kept = (100 * last.mean()[arm] for arm in ("pkd_drift", "pkd"))
        found.append(Erratum("BatchNorm drifts", "8.1.4", "mean of last exits", drifted, kept))
    return found


def _gain(mean: pd.Series, arms: tuple[str, ...]) -> float:
    return float(mean[arms[0]] - (mean[arms[1]] if len(arms) > 1 else 0))


def inference_errata(folds: Sequence[FoldExits], *, arm: str) -> list[Erratum]:
    """Return what the released inference does to accuracies on test clips, in per cent."""
    names = ("wise", "wise_3", "unit", "divided", "plain", "plain_fused")
    usual = _points(folds, arm=arm, names=names)
    greedy = _points(folds, arm=arm, names=("wise",), choose_on="test")
    text = _points([replace(fold, order="text") for fold in folds], arm=arm, names=("wise",))
    wise, last = usual["wise", EQUAL], usual["wise", LAST]
    rows = [
        (
            "WISE's last exit leaves ICs out",
            "8.1.6",
            "WISE, last exit",
            usual["wise_3", LAST],
            last,
        ),
        (
            "baseline ends on the I-frame network",
            "8.1.7",
            "WISE minus plain, last exit",
            usual["wise_3", LAST] - usual["plain", LAST],
            usual["wise_3", LAST] - usual["plain_fused", LAST],
        ),
        (
            "scores divided",
            "8.1.7",
            "unit weights, equal cost",
            usual["divided", EQUAL],
            usual["unit", EQUAL],
        ),
        ("thresholds chosen on test", "8.1.9", "WISE, equal cost", greedy["wise", EQUAL], wise),
    ]
    if all(arm in fold.logits.get("train", {}) for fold in folds):
        trained = _points(folds, arm=arm, names=("wise",), fit_on="train")
        value = trained["wise", LAST]
        rows.insert(
            1, ("weights fitted on training clips", "8.1.8", "WISE, last exit", value, last)
        )
    printed = text["wise", EQUAL]
    order = Erratum("residual network first", "8.1.5", "WISE, equal cost", wise, wise, printed)
    return [order, *(Erratum(*row) for row in rows)]


def _points(folds: Sequence[FoldExits], **options: object) -> Mapping[tuple[str, str], float]:
    table = ensemble_table(folds, **options).set_index(["variant", "exit"])
    return (100 * table["accuracy"]).to_dict()


def table(errata: Sequence[Erratum]) -> pd.DataFrame:
    """Return one line an erratum: defect, source, measure, the three values, effect."""
    columns = ("defect", "source", "measure", "as_released", "as_printed", "corrected", "effect")
    return pd.DataFrame([[getattr(e, c) for c in columns] for e in errata], columns=columns)


def choice_errata(studies: Sequence[Study]) -> list[Erratum]:
    """Return what the released choice of epochs and the shaken colours at test change, in per cent.

    Means over folds, weighted by their test clips.
    """
    sizes = np.array([len(study.exits.labels["test"]) for study in studies], dtype=float)

    def mean(values: Sequence[float]) -> float:
        return 100 * float(np.average(values, weights=sizes))

    shaken = mean([study.shaken for study in studies])
    steady = mean([study.scores.hits("test")["iframe"].float().mean() for study in studies])
    found = [Erratum("colours shaken at test", "8.2.7", "I-frame, last exit", shaken, steady)]
    if all(study.epochs for study in studies):
        test, val = (mean([study.epochs[on] for study in studies]) for on in ("test", "val"))
        found.append(Erratum("epoch chosen on test", "8.2.12", "mean of ICs", test, val))
    return found
