"""Tables of arms and exits that notebook 3 draws, by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from redistill import tables
from redistill.exit_scores import FoldExits
from redistill.methods.alike import gains as alike_gains
from redistill.methods.arms import ARM_NAMES, choose

ORDER = ("residual", "mv", "iframe")


def test_teachers_fill_the_steps_in_their_order():
    table = tables.teachers(choose(("ce", "pkd"), seed=0))
    rows = table.itertuples(index=False, name=None)
    assert list(rows) == [
        ("ce", "labels", 0.0, 1.0),
        ("pkd", "mv", 0.0, 0.166667),
        ("pkd", "residual", 0.166667, 0.333333),
        ("pkd", "own", 0.333333, 1.0),
    ]


def test_teachers_of_every_arm_leave_no_step_out():
    table = tables.teachers(choose(ARM_NAMES, seed=1))
    assert table["arm"].unique().tolist() == list(ARM_NAMES)
    for _, rows in table.groupby("arm"):
        assert rows["start"].iloc[0] == 0
        assert rows["end"].iloc[-1] == pytest.approx(1, abs=1e-6)
        assert rows["start"].iloc[1:].tolist() == rows["end"].iloc[:-1].tolist()


def test_gains_are_points_over_one_arm_in_the_order_of_the_arms():
    rows = [
        ("val", "pkd", 0.50), ("val", "ce", 0.40), ("val", "anticurriculum", 0.25),
        ("test", "pkd", 0.45), ("test", "ce", 0.50), ("test", "anticurriculum", 0.50),
    ]  # fmt: skip
    mean = pd.DataFrame(rows, columns=["split", "arm", "accuracy"])
    table = tables.gains(mean, over="ce")
    assert table["arm"].tolist() == ["pkd", "anticurriculum"]
    assert table["val"].tolist() == pytest.approx([10, -15])
    assert table["test"].tolist() == pytest.approx([-5, 0])


def test_operating_points_are_those_at_equal_cost_of_the_variants_named():
    rows = [
        ("wise", "last", 0.8, 9.0), ("wise", "equal", 0.7, 5.0), ("unit", "equal", 0.6, 4.0),
        ("plain", "equal", 0.5, 3.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["variant", "exit", "accuracy", "macs"])
    found = tables.operating_points(table, ["plain", "wise"])
    lines = found[["variant", "macs", "accuracy"]].itertuples(index=False, name=None)
    assert list(lines) == [("wise", 5.0, 0.7), ("plain", 3.0, 0.5)]
    assert found["label"].tolist() == ["wise", "plain"]


def exits_of(number):
    rng = torch.Generator().manual_seed(number)
    labels = {s: torch.randint(3, (20,), generator=rng) for s in ("val", "test")}
    logits = {s: {"ce": {m: torch.randn(4, 20, 3, generator=rng) for m in ORDER}} for s in labels}
    return FoldExits(number, logits, labels, {}, 0)


def test_exits_made_alike_are_fitted_on_val_and_asked_on_test_fold_by_fold():
    folds = [exits_of(0), exits_of(3)]
    table = tables.alike(folds, arm="ce")
    for fold in folds:
        both = {s: torch.cat([fold.logits[s]["ce"][m] for m in ORDER]) for s in ("val", "test")}
        wanted = alike_gains(*((both[s], fold.labels[s]) for s in ("val", "test")))
        rows = table[table["run"] == fold.fold].drop(columns="run").reset_index(drop=True)
        np.testing.assert_allclose(
            rows[wanted.columns].to_numpy(dtype=float), wanted.to_numpy(dtype=float), atol=1e-3
        )
