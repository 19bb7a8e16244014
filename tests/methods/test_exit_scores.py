"""Exits of all folds together: tables against slow definitions, and nothing chosen on test."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from exit_logits import drawn

from redistill.errors import RedistillError
from redistill.exit_scores import (
    REPORTED,
    FoldExits,
    arm_table,
    ensemble_table,
    epoch_optimism,
    exit_table,
    tradeoff_table,
)
from redistill.methods.cascade import curve, thresholds, walk
from redistill.methods.ensembles import VARIANTS
from redistill.methods.wise import fit_prefixes
from redistill.train import Trained

MACS = {"residual": (10, 20, 30, 40), "mv": (11, 22, 33, 44), "iframe": (50, 100, 150, 200)}
COSTS = (10, 20, 30, 40, 51, 62, 73, 84, 134, 184, 234, 284)
PLAIN = 230
ORDER = ("residual", "mv", "iframe")


def networks(logits):
    """Return modality to (4, N, K) of logits (12, N, K) in the coded order."""
    return dict(zip(ORDER, logits.split(4), strict=True))


def fold(number, clips=40):
    said, labels = {}, {}
    for place, split in enumerate(("train", "val", "test")):
        logits, labels[split] = drawn(clips + number, 4, seed=10 * number + place)
        said[split] = {"pkd": networks(logits)}
    return FoldExits(number, said, labels, MACS, PLAIN)


FOLDS = [fold(1), fold(7)]


def one_hot(classes):
    """Return logits (4, N, 2) that answer ``classes``, four strings of N digits."""
    answers = torch.tensor([[int(digit) for digit in row] for row in classes])
    return torch.nn.functional.one_hot(answers, 2).float()


def tiny(test, labels):
    other = one_hot(["0" * len(labels)] * 4)
    both = {"iframe": other, "mv": one_hot(test), "residual": other}
    truth = torch.tensor([int(digit) for digit in labels])
    said = {split: {"ce": both} for split in ("val", "test")}
    return FoldExits(0, said, {"val": truth, "test": truth}, MACS, PLAIN)


def test_accuracies_of_two_folds_are_pooled_clip_by_clip():
    folds = [tiny(["011", "111", "100", "010"], "011"), tiny(["1", "0", "1", "1"], "1")]
    table = exit_table(folds).set_index(["split", "arm", "modality", "exit"]).sort_index()
    assert len(table) == 2 * 3 * 4
    for split in ("val", "test"):
        rows = table.loc[split, "ce", "mv"]
        assert rows["accuracy"].tolist() == [4 / 4, 2 / 4, 1 / 4, 3 / 4]
        assert set(rows["n"]) == {4}
        assert table.loc[(split, "ce", "iframe", 1), "accuracy"] == 1 / 4
    half = table.loc[("test", "ce", "mv", 2)]  # Wilson of 2 of 4, written out
    z = 1.959964
    reach = z / (1 + z * z / 4) * np.sqrt(0.25 / 4 + z * z / 64)
    assert (half["low"], half["high"]) == pytest.approx((0.5 - reach, 0.5 + reach))


def test_an_arm_is_the_mean_of_its_nine_ics_without_the_last_exits():
    exits = exit_table([tiny(["011", "111", "100", "010"], "011")])
    table = arm_table(exits)
    assert table.columns.tolist() == ["split", "arm", "accuracy", "n"]
    nine = (3 / 3 + 2 / 3 + 0 / 3 + 6 * 1 / 3) / 9
    assert table["accuracy"].tolist() == pytest.approx([nine, nine])
    assert table["n"].tolist() == [3, 3]


def stacked(one, split):
    return torch.cat([one.logits[split]["pkd"][m] for m in ORDER])


def test_at_the_last_exit_everybody_is_scored_by_it():
    names = ("wise", "unit", "plain", "plain_fused", "fusion_211")
    table = ensemble_table(FOLDS, arm="pkd", names=names)
    rows = table[table["exit"] == "last"].set_index("variant")
    hits = {name: [] for name in names}
    for one in FOLDS:
        z, labels = stacked(one, "test"), one.labels["test"]
        w = fit_prefixes(stacked(one, "val"), one.labels["val"])[-1]
        fused = z[3] + z[7] + 2 * z[11]
        sums = (sum(a * b for a, b in zip(w, z, strict=True)), sum(z), z[11], fused, fused)
        for name, u in zip(names, sums, strict=True):
            hits[name] += (u.argmax(1) == labels).tolist()
    for name in names:
        assert rows.loc[name, "accuracy"] == pytest.approx(np.mean(hits[name])), name
        assert rows.loc[name, "n"] == 41 + 47
        assert rows.loc[name, "early"] == 0
        assert rows.loc[name, "macs"] == (PLAIN if name == "fusion_211" else 284)


def slow(scores, labels, threshold):
    """Return answer, cost and whether it left early, of one clip after another."""
    lines = []
    for clip in range(len(labels)):
        for exit in range(12):
            p = torch.softmax(scores[exit, clip].double(), 0)
            if exit == 11 or float(p.max()) > threshold:
                right = int(p.argmax()) == int(labels[clip])
                lines.append((right, COSTS[exit], exit < 11))
                break
    return np.array(lines, dtype=float)


def test_at_equal_cost_the_best_threshold_of_the_validation_clips_is_used():
    table = ensemble_table(FOLDS, arm="pkd", names=("unit",)).set_index("exit")
    parts = []
    for one in FOLDS:
        running = {s: stacked(one, s).cumsum(0) for s in ("val", "test")}
        tried = [
            (*slow(running["val"], one.labels["val"], t).mean(0)[:2], t)
            for t in thresholds(running["val"])
        ]
        within = [(-accuracy, cost, t) for accuracy, cost, t in tried if cost <= PLAIN]
        parts.append(slow(running["test"], one.labels["test"], min(within)[2]))
    wanted = np.concatenate(parts).mean(0)
    assert table.loc["equal", ["accuracy", "macs", "early"]].tolist() == pytest.approx(wanted)
    assert 0 < table.loc["equal", "early"] < 1


@pytest.mark.parametrize("plain", [60, 150, 230])
def test_equal_cost_is_at_most_that_without_ics_on_validation_clips(plain):
    for one in (replace(each, plain=plain) for each in FOLDS):
        for name, found in one.ensembles("pkd", names=("wise", "unit_3", "plain")).items():
            left = walk(found.scores["val"], one.threshold(found))
            assert np.mean([COSTS[e] for e in left.exit.tolist()]) <= plain, name


def poisoned(one):
    return replace(one, labels=one.labels | {"test": (one.labels["test"] + 1) % 4})


def test_wrong_test_labels_move_no_threshold_and_no_weight():
    names = ("wise", "unit")
    for one in FOLDS:
        found, after = (
            one.ensembles("pkd", names=names),
            poisoned(one).ensembles("pkd", names=names),
        )
        for name in names:
            assert torch.equal(found[name].weights, after[name].weights)
            assert one.threshold(found[name]) == poisoned(one).threshold(after[name])
    poison = [poisoned(one) for one in FOLDS]
    right, wrong = (ensemble_table(each, arm="pkd", names=names) for each in (FOLDS, poison))
    for column in ("macs", "early"):
        assert right[column].tolist() == wrong[column].tolist()
    assert (wrong["accuracy"] < right["accuracy"]).all()


def test_choosing_on_test_reads_test_labels_and_is_never_worse_within_the_budget():
    """On the chosen split itself no threshold within the budget is more accurate."""
    for one in FOLDS:
        found = one.ensembles("pkd", names=("unit",))["unit"]
        greedy = one.threshold(found, choose_on="test")
        tried = thresholds(found.scores["test"])
        table = curve((found.scores["test"], one.labels["test"]), COSTS, [greedy, *tried])
        within = table[table["macs"] <= PLAIN]
        assert table.loc[0, "macs"] <= PLAIN
        assert table.loc[0, "accuracy"] == within["accuracy"].max()
        assert poisoned(one).threshold(found, choose_on="test") != greedy


def test_the_tradeoff_of_one_fold_is_its_curve():
    (one,) = folds = FOLDS[:1]
    table = tradeoff_table(folds, arm="pkd", names=("wise", "fusion_211"), points=11)
    wise, fused = table[table["variant"] == "wise"], table[table["variant"] == "fusion_211"]
    scores = one.ensembles("pkd", names=("wise",))["wise"].scores["test"]
    wanted = curve((scores, one.labels["test"]), COSTS, wise["threshold"])
    columns = ["threshold", "accuracy", "macs", "early"]
    rounded = wanted.round({"accuracy": 4, "macs": 0, "early": 4})
    pd.testing.assert_frame_equal(wise[columns].reset_index(drop=True), rounded)
    assert {0.0, 1.0} <= set(wise["threshold"])
    assert fused[["threshold", "macs", "early"]].to_numpy().tolist() == [[1.0, PLAIN, 0.0]]


def test_the_tradeoff_of_two_folds_counts_each_clip_once():
    table, first, second = (
        tradeoff_table(folds, arm="pkd", names=("unit",), points=101)
        for folds in (FOLDS, FOLDS[:1], FOLDS[1:])
    )
    assert table["threshold"].is_unique
    for column, rounding in {"accuracy": 1e-4, "macs": 1.0, "early": 1e-4}.items():
        wanted = (41 * first[column] + 47 * second[column]) / 88
        assert table[column].tolist() == pytest.approx(wanted.tolist(), abs=rounding)


def test_permuting_the_test_clips_changes_no_table():
    turned = []
    for one in FOLDS:
        order = torch.randperm(len(one.labels["test"]), generator=torch.Generator().manual_seed(3))
        test = {"pkd": {m: z[:, order] for m, z in one.logits["test"]["pkd"].items()}}
        labels = one.labels | {"test": one.labels["test"][order]}
        turned.append(replace(one, logits=one.logits | {"test": test}, labels=labels))
    for make in (
        exit_table,
        lambda folds: ensemble_table(folds, arm="pkd"),
        lambda folds: tradeoff_table(folds, arm="pkd", names=("wise", "plain"), points=9),
    ):
        pd.testing.assert_frame_equal(make(FOLDS), make(turned), rtol=1e-6)


def test_every_variant_has_a_line_for_both_points():
    assert set(REPORTED) <= set(VARIANTS)
    table = ensemble_table(FOLDS, arm="pkd")
    lines = table[["variant", "exit"]].itertuples(index=False, name=None)
    assert list(lines) == [(name, point) for name in REPORTED for point in ("last", "equal")]
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["high"]).all()


def test_a_released_arm_needs_no_training_clips_unless_weights_are_fitted_on_them():
    one = FOLDS[0]
    said = {s: one.logits[s] | {"pkd_long": one.logits[s]["pkd"]} for s in ("val", "test")}
    released = replace(one, logits=one.logits | said)
    assert list(released.stacked("pkd_long")) == ["val", "test"]
    assert list(released.stacked("pkd")) == ["train", "val", "test"]
    usual, late = (
        ensemble_table([released], arm=arm, names=("wise",)) for arm in ("pkd", "pkd_long")
    )
    pd.testing.assert_frame_equal(usual, late)
    assert set(exit_table([released])["arm"]) == {"pkd", "pkd_long"}
    with pytest.raises(RedistillError, match="fitted on 'train'"):
        ensemble_table([released], arm="pkd_long", names=("wise",), fit_on="train")


def test_costs_of_either_order_end_at_the_sum_of_all():
    one = FOLDS[0]
    assert one.costs == COSTS
    text = replace(one, order="text")
    assert text.costs[:8] == (11, 22, 33, 44, 54, 64, 74, 84)
    assert text.costs[8:] == COSTS[8:]


def test_optimism_of_choosing_the_epoch_by_hand():
    """Two epochs, two arms, three ICs, two clips; the second arm is asked."""
    labels = torch.tensor([3, 5])
    right, half, wrong = [3, 5], [3, 0], [0, 0]
    epochs = [[[right] * 3, [wrong, right, half]], [[wrong] * 3, [half, half, wrong]]]
    journal = [{"val": [[0.1] * 3, [0.2, 0.3, 0.4]]}, {"val": [[0.9] * 3, [0.5, 0.6, 0.1]]}]
    watched = torch.tensor(epochs, dtype=torch.uint8)
    exits = {"mv": Trained(torch.nn.Identity(), journal, False, "", watched)}
    found = epoch_optimism(exits, labels, 1)
    assert found["test"] == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert found["val"] == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert found["last"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    both = epoch_optimism(exits | {"residual": exits["mv"]}, labels, 0)
    assert both == pytest.approx({"test": 1.0, "val": 0.0, "last": 0.0})
