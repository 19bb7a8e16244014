"""The table behind the exit explorer, against a walk clip by clip and against `cascade.walk`."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from drawn_exits import MODALITIES, TIMES, drawn_fold, fitted, slow
from hypothesis import given, settings
from hypothesis import strategies as st

from redistill.errors import RedistillError
from redistill.exit_scores import ensemble_table
from redistill.explore.exits_table import EQUAL, LEVELS, PLAIN, WISE, exits_table
from redistill.methods.cascade import mean_cost, walk

ONE = [drawn_fold(1)]
FOLDS = [drawn_fold(1), drawn_fold(2, clips=13, factor=7), drawn_fold(3, clips=1, scale=40.0)]
LEVEL = st.one_of(st.sampled_from(LEVELS), st.just(EQUAL), st.floats(0, 1))
TABLES = {folds[-1].fold: (folds, exits_table(folds, milliseconds=TIMES)) for folds in (ONE, FOLDS)}

FITTED = {
    (number, variant): fitted(folds, variant)
    for number, (folds, _) in TABLES.items()
    for variant in (WISE, PLAIN)
}


@settings(deadline=None, max_examples=25)
@given(levels=st.tuples(LEVEL, LEVEL, LEVEL), variant=st.sampled_from((WISE, PLAIN)),
       which=st.sampled_from(list(TABLES)))  # fmt: skip
def test_every_setting_is_the_slow_walk(levels, variant, which):
    folds, table = TABLES[which]
    found = table.outcome(variant, levels)
    lines = slow(folds, FITTED[which, variant], dict(zip(MODALITIES, levels, strict=True)))
    exit, right, last, macs, times = zip(*lines, strict=True)
    assert found.exit.tolist() == list(exit)
    assert found.right.tolist() == list(right)
    assert found.last.tolist() == list(last)
    assert found.macs == pytest.approx(sum(macs) / len(macs))
    assert found.milliseconds == pytest.approx(sum(times) / len(times))
    early = [j < 11 for j in exit]
    spoiled = [e and not r and s for e, r, s in zip(early, right, last, strict=True)]
    saved = [e and r and not s for e, r, s in zip(early, right, last, strict=True)]
    assert found.spoiled.tolist() == spoiled
    assert found.saved.tolist() == saved


@pytest.mark.parametrize("variant", [WISE, PLAIN])
@pytest.mark.parametrize("level", LEVELS)
def test_one_threshold_for_all_is_the_walk_of_the_cascade(variant, level):
    table = exits_table(ONE) if level == LEVELS[0] else TABLES[1][1]
    scores = ONE[0].ensembles("pkd", names=[variant])[variant].scores["test"]
    left = walk(scores, level)
    found = table.outcome(variant, [level] * 3)
    assert found.exit.tolist() == left.exit.tolist()
    assert found.right.tolist() == (left.predicted == ONE[0].labels["test"]).tolist()
    assert found.macs == pytest.approx(mean_cost(left.exit, ONE[0].costs))


def test_equal_cost_is_the_point_of_the_notebook_in_each_fold():
    rows = ensemble_table(FOLDS, arm="pkd", names=[WISE, PLAIN])
    rows = rows[rows["exit"] == "equal"].set_index("variant")
    for variant in (WISE, PLAIN):
        found = TABLES[3][1].outcome(variant, [EQUAL] * 3)
        assert found.right.mean() == pytest.approx(rows.loc[variant, "accuracy"])
        assert found.macs == pytest.approx(rows.loc[variant, "macs"])
        assert found.early.mean() == pytest.approx(rows.loc[variant, "early"])


def test_the_ends_of_the_scale():
    table = TABLES[3][1]
    first, nobody = (table.outcome(WISE, [level] * 3) for level in (0.0, 1.0))
    assert set(first.exit) == {0}
    assert set(nobody.exit) == {11}
    assert not nobody.early.any()
    assert not nobody.spoiled.any()
    assert (nobody.right == nobody.last).all()


def changed(fold, change):
    """Return the fold with all logits changed."""
    logits = {
        split: {"pkd": {name: change(z) for name, z in arms["pkd"].items()}}
        for split, arms in fold.logits.items()
    }
    return replace(fold, logits=logits)


def test_a_softmax_of_exactly_one_and_a_tie_stay():
    fold = drawn_fold(5, clips=6)
    table = exits_table([changed(fold, lambda z: 100 * z)])
    assert (table.confidence[PLAIN] == 1).any()
    assert set(table.outcome(PLAIN, [1.0] * 3).exit) == {11}
    labels = {split: torch.zeros_like(each) for split, each in fold.labels.items()}
    table = exits_table([replace(changed(fold, lambda z: 0 * z[..., :2]), labels=labels)])
    assert set(table.outcome(WISE, [0.5, 0.5, 0.4]).exit) == {8}
    assert set(table.outcome(WISE, [0.5, 0.4, 0.4]).exit) == {4}


def test_the_curve_is_the_outcome_at_every_level():
    table = TABLES[3][1]
    curve = table.curve(PLAIN).set_index("threshold")
    assert len(curve) == len(LEVELS) + 1
    for name, level in (("equal cost", EQUAL), ("0.9999", 0.9999), ("0", 0.0)):
        found = table.outcome(PLAIN, [level] * 3)
        assert curve.loc[name, "accuracy"] == pytest.approx(found.right.mean(), abs=1e-4)
        assert curve.loc[name, "macs"] == round(found.macs)
        assert curve.loc[name, "spoiled"] == pytest.approx(found.spoiled.mean(), abs=1e-4)
    assert list(table.levels(PLAIN)) == sorted(
        table.levels(PLAIN), key=lambda x: np.median(table.equal[PLAIN]) if x == EQUAL else x
    )


def settings_of(table, variant, every):
    levels = table.levels(variant)
    return list(product(levels, repeat=3))[::every]


@pytest.mark.parametrize(("which", "every"), [(1, 1), (3, 7)])
def test_the_axes_reach_as_far_as_any_setting(which, every):
    table = TABLES[which][1]
    seen = [table.fused] + [
        table.outcome(variant, levels).right.mean()
        for variant in (WISE, PLAIN)
        for levels in settings_of(table, variant, every)
    ]
    low, high = table.extremes()
    if every == 1:
        assert (low, high) == pytest.approx((min(seen), max(seen)), abs=1e-6)
    assert low - 1e-6 <= min(seen)
    assert high + 1e-6 >= max(seen)


def test_several_arms_need_a_name_and_folds_one_order():
    fold = drawn_fold(1)
    twice = {split: {"ce": arms["pkd"], **arms} for split, arms in fold.logits.items()}
    two = replace(fold, logits=twice)
    with pytest.raises(RedistillError, match=r"no arm None; there are exits of ce, pkd"):
        exits_table([two])
    with pytest.raises(RedistillError, match=r"no arm 'pk'.* Did you mean 'pkd'"):
        exits_table([two], arm="pk")
    assert exits_table([two], arm="pkd").fused == TABLES[1][1].fused
    with pytest.raises(RedistillError, match="no arm None; there are exits of none"):
        exits_table([])
    with pytest.raises(RedistillError, match="unlike orders"):
        exits_table([fold, drawn_fold(2, order="text")])


def test_networks_in_another_order_are_asked_in_it():
    folds = [drawn_fold(4, order="text")]
    levels = (0.9, 0.8, 0.7)
    found = exits_table(folds).outcome(WISE, levels)
    lines = slow(
        folds, fitted(folds, WISE), dict(zip(("mv", "residual", "iframe"), levels, strict=True))
    )
    assert found.exit.tolist() == [line[0] for line in lines]
    assert found.macs == pytest.approx(np.mean([line[3] for line in lines]))


@pytest.mark.parametrize("times", [(1.0, 2.0), (1.0, 2.0, 3.0, 0.0), (1.0, 2.0, 3.0, np.nan)])
def test_times_that_do_not_fit_are_named(times):
    with pytest.raises(RedistillError, match=r"milliseconds of network 'mv' are .*give 4 times"):
        exits_table(ONE, milliseconds=TIMES | {"mv": times})
