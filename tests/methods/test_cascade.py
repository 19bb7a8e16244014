"""Early exits against a slow walk; costs added by hand; thresholds and areas by definition."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from exit_logits import PER_NETWORK, drawn

from redistill.errors import ConfigError, RedistillError
from redistill.methods.cascade import (
    area,
    cascade_costs,
    choose_threshold,
    curve,
    frontier,
    mean_cost,
    thresholds,
    walk,
)

SCORES, LABELS = drawn(80, 5, seed=1)
COSTS = cascade_costs(PER_NETWORK)


def slow_walk(scores, limits):
    """The definition, clip by clip and exit by exit."""
    lines = []
    for n in range(scores.shape[1]):
        for j in range(len(scores)):
            z = scores[j, n].double().numpy()
            p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            if p.max() > limits[j] or j == len(scores) - 1:
                lines.append((j, int(p.argmax()), p.max()))
                break
    return [list(column) for column in zip(*lines, strict=True)]


@pytest.mark.parametrize("limits", [[0.0] * 12, [0.7] * 12, np.linspace(0.9, 0.4, 12).tolist()])
def test_a_walk_is_its_slow_definition(limits):
    exit, predicted, confidence = slow_walk(SCORES, limits)
    left = walk(SCORES, limits)
    assert left.exit.tolist() == exit
    assert left.predicted.tolist() == predicted
    np.testing.assert_allclose(left.confidence, confidence)
    if len(set(limits)) == 1:
        assert torch.equal(walk(SCORES, limits[0]).exit, left.exit)


def test_a_softmax_of_exactly_one_does_not_exceed_one():
    sure = torch.tensor([100.0, 0.0]).expand(12, 3, 2)
    assert sure.softmax(-1).max() == 1  # in float32; in float64 as well
    assert walk(sure, 1.0).exit.tolist() == [11] * 3
    assert walk(sure, 0.9999999).exit.tolist() == [0] * 3


def test_a_confidence_equal_to_the_threshold_stays():
    even = torch.zeros(2, 1, 2)
    assert walk(even, 0.5).exit.tolist() == [1]
    assert walk(even, 0.4999).exit.tolist() == [0]


def test_confidences_that_float32_takes_for_one_stay_apart():
    """Margins of 18 and 30: both exactly 1 in float32, so that no threshold could part them."""
    scores = torch.zeros(2, 2, 2)
    scores[0, :, 0] = torch.tensor([18.0, 30.0])
    assert (scores[0].softmax(-1)[:, 0] == 1).all()
    assert walk(scores, 1 - 1e-10).exit.tolist() == [1, 0]


def test_lower_thresholds_cost_less_or_the_same():
    table = curve((SCORES, LABELS), COSTS, np.linspace(0, 1, 60))
    assert all(a <= b for a, b in pairwise(table["macs"]))
    assert table["macs"].iloc[0] == COSTS[0]
    assert table["macs"].iloc[-1] == COSTS[-1]


def test_permuting_the_videos_changes_nothing():
    turned = torch.randperm(80, generator=torch.Generator().manual_seed(3))
    left, other = walk(SCORES, 0.6), walk(SCORES[:, turned], 0.6)
    assert torch.equal(left.exit[turned], other.exit)
    assert torch.equal(left.predicted[turned], other.predicted)
    one = frontier((SCORES, LABELS), (SCORES, LABELS), COSTS)
    mixed = (SCORES[:, turned], LABELS[turned])
    np.testing.assert_allclose(one, frontier(mixed, mixed, COSTS), rtol=1e-12)


def test_a_later_network_costs_all_of_the_earlier_ones():
    assert COSTS == (10, 18, 25, 30, 40, 48, 55, 59, 72, 92, 124, 133)
    assert cascade_costs(PER_NETWORK, "text") == (
        *(10, 18, 25, 29), *(39, 47, 54, 59), *(72, 92, 124, 133)
    )  # fmt: skip
    assert COSTS[-1] == sum(own[-1] for own in PER_NETWORK.values())


def test_wrong_early_exits_are_charged():
    exits = torch.tensor([0, 1, 1, 11])
    right = torch.tensor([True, False, True, False])
    assert mean_cost(exits, COSTS) == (10 + 18 + 18 + 133) / 4
    as_released = right | (exits == 11)
    assert mean_cost(exits, COSTS, charged=as_released) == (10 + 0 + 18 + 133) / 4


def test_a_curve_charges_and_counts_every_clip():
    for threshold in (0.5, 0.8):
        left = walk(SCORES, threshold)
        line = curve((SCORES, LABELS), COSTS, [threshold]).iloc[0]
        assert line["macs"] == pytest.approx(np.mean([COSTS[e] for e in left.exit.tolist()]))
        assert line["accuracy"] == pytest.approx((left.predicted == LABELS).double().mean().item())
        assert line["early"] == pytest.approx(np.mean([e < 11 for e in left.exit.tolist()]))


def test_costs_that_are_not_cumulative_and_lengths_that_differ_are_named():
    with pytest.raises(RedistillError, match=r"network 'mv' is \(\)"):
        cascade_costs({"residual": (1, 2, 3, 4)})
    with pytest.raises(RedistillError, match=r"network 'residual' is \(1, 3, 2, 4\)"):
        cascade_costs(PER_NETWORK | {"residual": (1, 3, 2, 4)})
    with pytest.raises(RedistillError, match="11 costs"):
        curve((SCORES, LABELS), COSTS[1:], [0.5])
    with pytest.raises(ConfigError, match="threshold has 3 values for 12 exits"):
        walk(SCORES, [0.1, 0.2, 0.3])


def test_thresholds_run_from_everybody_to_nobody():
    tried = thresholds(SCORES, points=30)
    assert tried[0] == 0
    assert tried[-1] == 1
    assert all(a < b for a, b in pairwise(tried))
    assert len(tried) <= 32
    assert thresholds(SCORES[-1:]).tolist() == [0, 1]


def test_the_threshold_is_the_cheapest_that_reaches_the_accuracy():
    tried = curve((SCORES, LABELS), COSTS, thresholds(SCORES))
    wanted = 0.5
    point = choose_threshold(SCORES, LABELS, COSTS, accuracy=wanted)
    enough = [line for line in tried.itertuples() if line.accuracy >= wanted]
    assert point.accuracy >= wanted
    assert point.macs == min(line.macs for line in enough)
    left = walk(SCORES, point.threshold)
    assert mean_cost(left.exit, COSTS) == point.macs


def test_the_threshold_is_the_most_accurate_within_the_budget():
    tried = curve((SCORES, LABELS), COSTS, thresholds(SCORES))
    point = choose_threshold(SCORES, LABELS, COSTS, budget=60)
    within = [line for line in tried.itertuples() if line.macs <= 60]
    assert point.macs <= 60
    assert point.accuracy == max(line.accuracy for line in within)
    assert point.macs == min(x.macs for x in within if x.accuracy == point.accuracy)


def test_what_is_out_of_reach_is_told_with_the_best():
    best = curve((SCORES, LABELS), COSTS, thresholds(SCORES))["accuracy"].max()
    with pytest.raises(ConfigError, match=rf"accuracy = 1.0 is out of reach.*best is {best:.6g}"):
        choose_threshold(SCORES, LABELS, COSTS, accuracy=1.0)
    with pytest.raises(ConfigError, match=r"budget = 9 is out of reach.*best is 10"):
        choose_threshold(SCORES, LABELS, COSTS, budget=9)
    for both in ({}, {"accuracy": 0.5, "budget": 50}):
        with pytest.raises(ConfigError, match="either an accuracy or a budget"):
            choose_threshold(SCORES, LABELS, COSTS, **both)


def test_a_frontier_takes_its_thresholds_from_validation_only():
    test = drawn(50, 5, seed=9)
    table = frontier((SCORES, LABELS), test, COSTS)
    assert table["threshold"].tolist() == thresholds(SCORES).tolist()
    line = table.iloc[len(table) // 2]
    left = walk(test[0], line["threshold"])
    assert line["test_macs"] == mean_cost(left.exit, COSTS)
    assert line["test_accuracy"] == (left.predicted == test[1]).double().mean().item()
    assert line["val_macs"] == mean_cost(walk(SCORES, line["threshold"]).exit, COSTS)


def test_the_area_is_the_mean_over_budgets_of_the_chosen_points():
    """Integrated slowly: at each budget choose on validation, read on test."""
    three, costs = [0, 6, 11], (10, 55, 133)
    val, test = ((z[three], y) for z, y in (drawn(20, 5, seed=8), drawn(30, 5, seed=9)))
    table = frontier(val, test, costs)
    budgets = np.unique(table["val_macs"])
    total = 0.0
    for low, high in pairwise(budgets):
        point = choose_threshold(*val, costs, budget=low)
        right = (walk(test[0], point.threshold).predicted == test[1]).double().mean().item()
        total += right * (high - low)
    assert area(table) == pytest.approx(total / (133 - 10))


def test_the_area_of_exits_that_are_always_right_is_one():
    truth = torch.nn.functional.one_hot(LABELS, 5).float()
    scores = truth * torch.linspace(1, 2, 12)[:, None, None] + 0 * SCORES
    assert area(frontier((scores, LABELS), (scores, LABELS), COSTS)) == 1


def test_one_exit_has_no_area():
    one = (SCORES[-1:], LABELS)
    with pytest.raises(RedistillError, match="all points cost 133: no area"):
        area(frontier(one, one, COSTS[-1:]))
