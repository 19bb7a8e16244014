"""Variants of the scores against sums written out; who is fitted on what; exits made alike."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from exit_logits import drawn

from redistill.errors import ConfigError, RedistillError
from redistill.methods import ensembles
from redistill.methods.alike import error_correlation, gains, made_alike, slope
from redistill.methods.cascade import walk
from redistill.methods.ensembles import VARIANTS, Fitted, apply, learn, weights, weights_table
from redistill.methods.fusion import late_fusion
from redistill.methods.wise import fit, fit_prefixes

VAL, TEST = drawn(50, 4, seed=1), drawn(40, 4, seed=2)
SPLITS = {"val": VAL[0], "test": TEST[0]}
LABELS = {"val": VAL[1], "test": TEST[1]}
R4, MV4, I4 = TEST[0][3], TEST[0][7], TEST[0][11]


@pytest.fixture(scope="module")
def found():
    return ensembles.ensembles(SPLITS, {"val": VAL[1]})


def running(logits):
    return torch.stack([sum(logits[: k + 1]) for k in range(len(logits))])


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_plain_exits_are_the_logits(found):
    assert torch.equal(found["plain"].scores["test"], TEST[0])


def test_unscaled_and_divided_are_the_running_sum_and_mean(found):
    close(found["unit"].scores["test"], running(TEST[0]))
    counts = torch.arange(1, 13)[:, None, None]
    close(found["divided"].scores["test"], running(TEST[0]) / counts)


def test_wise_is_the_prefix_weights_on_the_prefix(found):
    w = fit_prefixes(*VAL)
    for k in (1, 2, 6, 12):
        u = sum(w[k - 1, j] * TEST[0][j] for j in range(k))
        close(found["wise"].scores["test"][k - 1], u)


def test_wise_with_all_weights_one_is_the_unscaled_baseline():
    ones = Fitted(torch.tril(torch.ones(12, 12)), torch.ones(3))
    for wise, unscaled in (("wise", "unit"), ("wise_3", "unit_3"), ("wise_divided", "divided_3")):
        assert torch.equal(
            apply(weights(wise, ones), TEST[0]), apply(weights(unscaled, ones), TEST[0])
        )
    untrained = ensembles.ensembles(SPLITS, LABELS, names=("wise", "unit"), steps=0)
    assert torch.equal(untrained["wise"].scores["test"], untrained["unit"].scores["test"])


def test_last_exits_that_see_three_networks_only(found):
    coviar = late_fusion({"iframe": I4, "mv": MV4, "residual": R4})
    close(found["plain_fused"].scores["test"][-1], coviar)
    close(found["fusion_211"].scores["test"], coviar[None])
    close(found["unit_3"].scores["test"][-1], R4 + MV4 + I4)
    close(found["divided_3"].scores["test"][-1], (R4 + MV4 + I4) / 3)
    a, b, c = fit(VAL[0][[3, 7, 11]], VAL[1], l1=0.0)
    learned = a * R4 + b * MV4 + c * I4
    close(found["wise_3"].scores["test"][-1], learned)
    close(found["wise_divided"].scores["test"][-1], learned / 3)
    close(found["fusion_learned"].scores["test"], learned[None])


def test_before_the_last_exit_the_released_variants_are_the_others(found):
    pairs = {"wise_3": "wise", "unit_3": "unit", "divided_3": "divided", "plain_fused": "plain"}
    for one, other in pairs.items():
        assert torch.equal(found[one].scores["test"][:-1], found[other].scores["test"][:-1])
        assert not torch.equal(found[one].scores["test"][-1], found[other].scores["test"][-1])
    counts = torch.arange(1, 12)[:, None, None]
    divided = found["wise"].scores["test"][:-1] / counts
    close(found["wise_divided"].scores["test"][:-1], divided)


def test_a_threshold_above_one_is_late_fusion_of_what_the_last_exit_sees(found):
    for name, wanted in {
        "plain_fused": 2 * I4 + MV4 + R4,
        "unit_3": R4 + MV4 + I4,
        "unit": sum(TEST[0]),
        "plain": I4,
    }.items():
        left = walk(found[name].scores["test"], 1.1)
        assert set(left.exit.tolist()) == {11}
        assert torch.equal(left.predicted, wanted.argmax(1))


def test_the_order_of_networks_moves_the_weights_of_the_fusion():
    fitted = Fitted(torch.eye(12), torch.tensor([5.0, 6.0, 7.0]))
    assert weights("fusion_211", fitted, order="coded")[0, 3::4].tolist() == [1, 1, 2]
    assert weights("fusion_211", fitted, order="text")[0, 3::4].tolist() == [1, 1, 2]
    assert weights("fusion_learned", fitted)[0, 3::4].tolist() == [5, 6, 7]


def test_weights_are_fitted_on_the_split_they_are_told_and_no_other():
    for split in ("val", "test"):
        got = ensembles.ensembles(SPLITS, LABELS, fit_on=split, names=("wise",), steps=30)
        wanted = fit_prefixes(SPLITS[split], LABELS[split], steps=30)
        assert torch.equal(got["wise"].weights, wanted)


def test_labels_of_other_splits_are_not_needed():
    """There are no test labels to read; other test clips leave the weights as they are."""
    others = SPLITS | {"test": drawn(9, 4, seed=5)[0]}
    one, two = (ensembles.ensembles(z, {"val": VAL[1]}, steps=5) for z in (SPLITS, others))
    assert all(torch.equal(one[name].weights, two[name].weights) for name in VARIANTS)


def test_making_a_variant_leaves_what_was_learned_as_it_was():
    fitted = learn(*VAL, steps=5)
    before = fitted.prefixes.clone()
    for name in VARIANTS:
        weights(name, fitted)
    assert torch.equal(fitted.prefixes, before)


def test_the_table_of_weights_names_every_exit_passed(found):
    table = weights_table(found["wise"].weights)
    assert len(table) == 78
    line = table[(table["after"] == 7) & (table["modality"] == "mv") & (table["exit"] == 2)]
    assert line["weight"].tolist() == [found["wise"].weights[6, 5].item()]
    last = weights_table(found["fusion_211"].weights)
    assert len(last) == 12
    assert set(last["after"]) == {12}
    used = last[last["weight"] > 0].set_index("modality")["weight"]
    assert used.to_dict() == {"residual": 1, "mv": 1, "iframe": 2}


def test_unknown_variants_splits_and_numbers_of_exits_are_named():
    with pytest.raises(ConfigError, match=r"variant 'wize'.*Did you mean 'wise'"):
        weights("wize", learn(*VAL, steps=1))
    with pytest.raises(RedistillError, match=r"fitted on 'train', but there are logits of"):
        ensembles.ensembles(SPLITS, LABELS, fit_on="train")
    with pytest.raises(RedistillError, match="12 exits, got 4"):
        learn(VAL[0][:4], VAL[1])


def test_correlation_of_errors_is_pearson_of_the_errors():
    errors = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]])
    logits = torch.stack([1 - torch.tensor(errors), torch.tensor(errors)], dim=-1).float()
    labels = torch.zeros(4, dtype=torch.int64)
    assert error_correlation(logits, labels) == pytest.approx((0 + 1 + 0) / 3)
    assert error_correlation(logits[:1].expand(3, -1, -1), labels) == pytest.approx(1)
    always_right = torch.tensor([[1.0, 0.0]] * 4)[None]
    assert np.isnan(error_correlation(always_right.expand(2, -1, -1), labels))
    with_one = torch.cat([logits, always_right])
    assert error_correlation(with_one, labels) == pytest.approx(1 / 3)


def test_exits_made_alike_run_from_what_they_are_to_copies():
    assert torch.equal(made_alike(TEST[0], 0.0), TEST[0])
    assert torch.equal(made_alike(TEST[0], 1.0), I4.expand(12, -1, -1))
    close(made_alike(TEST[0], 0.25), 0.75 * TEST[0] + 0.25 * I4)


def test_copies_leave_wise_nothing_to_gain_and_alike_exits_little():
    table = gains(drawn(200, 6, seed=3), drawn(400, 6, seed=4), steps=200)
    last = table.iloc[-1]
    assert last["correlation"] == pytest.approx(1)
    assert last["over_unit"] == last["over_best"] == 0
    assert all(a < b for a, b in pairwise(table["correlation"]))
    assert table["over_best"].iloc[0] > 5
    assert slope(table) < -3
    assert table["over_best"].tolist() == pytest.approx(
        (100 * (table["wise"] - table["best"])).tolist()
    )


def test_slope_is_points_per_unit_of_correlation():
    table = gains(VAL, TEST, shares=(0.0, 1.0), steps=20)
    run = table["correlation"].iloc[1] - table["correlation"].iloc[0]
    for gain in ("over_best", "over_unit"):
        rise = table[gain].iloc[1] - table[gain].iloc[0]
        assert slope(table, gain) == pytest.approx(rise / run)
    assert np.isnan(slope(table.iloc[:1]))
