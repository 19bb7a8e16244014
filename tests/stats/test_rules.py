"""Each rule by itself: every verdict it can give, against closed forms and seeded simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from redistill import stats
from redistill.pairing import Comparison, Pair
from redistill.rules import judge

SPREAD = np.array((-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0))  # mean 0, sd 0.70


def contrast(test, control=0.0, profile="standard", name="a against b"):
    test, control = np.broadcast_arrays(np.asarray(test, float), control)
    pairs = (
        Pair("0", str(i), float(x), float(y), 1, (f"r{i}",))
        for i, (x, y) in enumerate(zip(test, control, strict=True))
    )
    return Comparison("synthetic", "crossed", profile, "s", tuple(pairs), name)


def ordered(columns):
    """Neighbours of an order; ``columns`` is (runs, arms)."""
    pairs = itertools.pairwise(np.asarray(columns, float).T)
    return [contrast(a, b, name=f"{i} against {i + 1}") for i, (a, b) in enumerate(pairs)]


def each(*means, scale=1.0, margin=1.0, direction="greater", rule="superiority"):
    group = [contrast(mean + scale * SPREAD, name=f"arm{i}") for i, mean in enumerate(means)]
    return judge(group, rule=rule, direction=direction, margin=margin)


@pytest.mark.parametrize(
    ("means", "scale", "state"),
    [
        ((2.0, 3.0, 4.0), 1, "reproduced"),
        ((2.0, 3.0, -2.0), 1, "not reproduced"),
        ((2.0, 0.0, 4.0), 1, "not reproduced"),
        ((2.0, 1.5, 4.0), 4, "inconclusive"),
        ((9.0, 1.0, 9.0), 4, "inconclusive"),
    ],
)
def test_each_control_must_be_beaten_and_the_weakest_speaks(means, scale, state):
    found = each(*means, scale=scale)
    assert found.state == state
    weakest = int(np.argmin(means))
    assert found.found.name == f"arm{weakest}"
    assert found.interval.mean == pytest.approx(means[weakest])
    assert (found.runs_needed is not None) == (state == "inconclusive")


def test_p_of_an_intersection_is_the_largest_of_its_tests():
    means = (0.9, 0.7, 1.4)
    theirs = [scipy_stats.ttest_1samp(mean + SPREAD, 0).pvalue for mean in means]
    assert each(*means).p == pytest.approx(max(theirs))
    assert each(0.9, -0.7).p == 1
    found = judge([contrast(0.2 + 0.5 * SPREAD), contrast(4 * SPREAD - 0.1)],
                  rule="superiority", direction="greater", margin=1.0)  # fmt: skip
    assert (found.state, found.p) == ("not reproduced", 1)  # which refutes has a smaller one


def test_direction_less_mirrors_every_verdict():
    for means, scale in itertools.product([(2, 3), (2, -2), (0, 2), (9, 1)], [1, 4]):
        up = each(*means, scale=scale)
        group = [contrast(-(mean + scale * SPREAD)) for mean in means]
        down = judge(group, rule="superiority", direction="less", margin=1.0)
        assert (down.state, down.runs_needed) == (up.state, up.runs_needed)
        assert down.p == pytest.approx(up.p)


def test_equivalence_with_several_controls_needs_all():
    assert each(0.0, 0.1, rule="equivalence").state == "reproduced"
    assert each(0.0, 0.8, rule="equivalence").state == "inconclusive"
    assert each(0.0, 3.0, rule="equivalence").state == "not reproduced"


def test_one_true_null_among_several_controls_is_rarely_called_beaten():
    """Size of the intersection-union test at its edge: one control equal, the others far below."""
    rng = np.random.default_rng(11)
    wrong = 0
    for noise in rng.normal(0, 2, (400, 3, 10)):
        group = [contrast(noise[0]), contrast(noise[1] + 20), contrast(noise[2] + 20)]
        found = judge(group, rule="superiority", direction="greater", margin=1.0)
        wrong += found.state == "reproduced"
    assert 0 < wrong <= 0.05 * 400  # 2.5 % expected: one side of a 95 % interval


def test_a_true_claim_against_several_controls_is_rarely_called_refuted():
    """All four effects sit on the smallest effect of interest; refuting any refutes the claim."""
    rng = np.random.default_rng(12)
    wrong = 0
    for noise in rng.normal(1.0, 1.0, (400, 4, 10)):
        group = [contrast(row) for row in noise]
        found = judge(group, rule="superiority", direction="greater", margin=1.0)
        wrong += found.state == "not reproduced"
    assert wrong <= 0.04 * 400  # 2.5 % by Bonferroni; 9.6 % without it


def test_open_contrasts_are_settled_by_the_runs_of_the_hardest():
    hard, easy = contrast(1 + 6 * SPREAD), contrast(0.9 + 3 * SPREAD)
    alone = [
        judge([one], rule="superiority", direction="greater", margin=1.0).runs_needed
        for one in (hard, easy)
    ]
    both = judge([hard, easy], rule="superiority", direction="greater", margin=1.0)
    assert both.runs_needed == max(alone) > min(alone)


def rising(step, noise=1.0, arms=3, runs=10, seed=1):
    rng = np.random.default_rng(seed)
    return step * np.arange(arms) + rng.normal(0, noise, (runs, arms))


@pytest.mark.parametrize(
    ("columns", "direction", "state"),
    [
        (rising(5), "less", "reproduced"),
        (rising(-5), "greater", "reproduced"),
        (rising(5), "greater", "not reproduced"),
        (rising(5)[:, [0, 2, 1]], "less", "not reproduced"),
        (rising(0.3), "less", "inconclusive"),
        (rising(5, runs=9), "less", "inconclusive"),
    ],
)
def test_an_order_holds_if_all_neighbours_and_the_trend_do(columns, direction, state):
    found = judge(ordered(columns), rule="order", direction=direction, margin=0.0)
    assert found.state == state
    assert (found.p is None) == (len(columns) < 10)


def test_an_order_takes_the_largest_p_of_neighbours_and_trend():
    columns = rising(1.5, seed=4)
    found = judge(ordered(columns), rule="order", direction="less", margin=0.0)
    theirs = [scipy_stats.ttest_rel(a, b).pvalue for a, b in itertools.pairwise(columns.T)]
    trend = stats.trend_p_value(columns)
    assert found.p == pytest.approx(max(*theirs, trend))


def test_means_in_order_by_two_loud_runs_are_no_trend_within_runs():
    """Neighbours that differ by the t test alone, most runs the other way round by little."""
    columns = np.zeros((60, 3))
    columns[:15, 1], columns[:15, 2] = 10, 20
    columns[15:] = [0.02, 0.01, 0.0]
    found = judge(ordered(columns), rule="order", direction="less", margin=0.0)
    assert found.state == "inconclusive"
    assert "no trend" in found.why
    assert found.p > 0.05


def test_random_orders_are_rarely_called_an_order():
    rng = np.random.default_rng(13)
    called = [
        judge(ordered(x), rule="order", direction="less", margin=0.0).state == "reproduced"
        for x in rng.normal(0, 1, (400, 10, 3))
    ]
    assert np.mean(called) <= 0.05


@pytest.mark.parametrize(
    ("value", "direction", "state"),
    [
        (0.004, "less", "reproduced"),
        (0.02, "less", "not reproduced"),
        (0.0102, "less", "inconclusive"),
        (0.02, "greater", "reproduced"),
        (0.004, "greater", "not reproduced"),
    ],
)
def test_a_ratio_lies_beyond_its_bound_with_the_whole_interval(value, direction, state):
    found = judge([contrast(value + 0.001 * SPREAD)], rule="ratio", direction=direction,
                  margin=0.01)  # fmt: skip
    assert found.state == state
    assert "0.01" in found.why
    half = scipy_stats.t.ppf(0.975, 9) * 0.001 * SPREAD.std(ddof=1) / math.sqrt(10)
    assert found.interval.high == pytest.approx(value + half)  # of the ratio, not of its excess
    assert (found.runs_needed is not None) == (state == "inconclusive")


@pytest.mark.parametrize(
    ("value", "state"), [(0.009, "reproduced"), (0.01, "not reproduced"), (0.02, "not reproduced")]
)
def test_a_ratio_that_never_varies_is_judged_by_its_value(value, state):
    found = judge([contrast([value] * 10)], rule="ratio", direction="less", margin=0.01)
    assert found.state == state


def share(right, n, profile="standard"):
    """Two gains: one always there, the other in ``right`` of ``n`` runs."""
    gains = [contrast(np.ones(n), profile=profile),
             contrast([1.0] * right + [-1.0] * (n - right), profile=profile)]  # fmt: skip
    return judge(gains, rule="share", direction="greater", margin=0.8)


@pytest.mark.parametrize(
    ("right", "n", "state"),
    [(10, 10, "reproduced"), (9, 10, "reproduced"), (8, 10, "inconclusive"),
     (6, 10, "inconclusive"), (5, 10, "not reproduced"), (0, 10, "not reproduced"),
     (16, 20, "reproduced"), (15, 20, "inconclusive"), (9, 9, "inconclusive")],
)  # fmt: skip
def test_a_share_of_runs_is_judged_by_wilson(right, n, state):
    found = share(right, n)
    assert found.state == state
    theirs = scipy_stats.binomtest(right, n).proportion_ci(method="wilson")
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.runs_needed is not None) == (state == "inconclusive")
    if found.p is not None:  # the test that the interval inverts
        assert (found.p < 0.05) == (theirs.low > 0.5)


def test_runs_that_a_share_takes_would_judge_it():
    more = share(8, 10).runs_needed
    assert share(round(0.8 * (10 + more)), 10 + more).state == "reproduced"
    assert share(round(0.8 * (9 + more)), 9 + more).state == "inconclusive"


def test_a_run_counts_for_a_share_only_if_every_gain_is_there():
    half = [1.0, -1.0] * 5
    gains = [contrast(half), contrast([-x for x in half])]
    found = judge(gains, rule="share", direction="greater", margin=0.8)
    assert (found.state, found.interval.mean) == ("not reproduced", 0)
    none = judge([contrast(np.zeros(10))], rule="share", direction="greater", margin=0.8)
    assert none.interval.mean == 0  # no difference has no sign
    less = judge([contrast(-np.ones(10))], rule="share", direction="less", margin=0.8)
    assert less.state == "reproduced"


def test_gains_of_nothing_are_rarely_called_robust():
    rng = np.random.default_rng(14)
    called = [
        judge([contrast(x)], rule="share", direction="greater", margin=0.8).state == "reproduced"
        for x in rng.normal(0, 1, (400, 10))
    ]
    assert np.mean(called) <= 0.05


@pytest.mark.parametrize("rule", ["superiority", "equivalence", "order", "ratio", "share"])
def test_quick_runs_and_few_runs_are_never_judged(rule):
    quick = [contrast(np.ones(12), profile="quick")] * 2
    found = judge(quick, rule=rule, direction="greater", margin=0.8)
    assert (found.state, found.p, found.interval, found.runs_needed) == (
        "not yet run", None, None, None,
    )  # fmt: skip
    few = judge([contrast(1 + SPREAD[:9])] * 2, rule=rule, direction="greater", margin=0.8)
    assert (few.state, few.p) == ("inconclusive", None)
    one = judge([contrast([1.0])], rule=rule, direction="greater", margin=0.8)
    assert (one.state, one.runs_needed) == ("inconclusive", 9)
