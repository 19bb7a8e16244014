"""Statistics against closed forms, scipy's own tests, published tables and seeded simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from redistill import stats
from redistill.errors import ConfigError

SAMPLES = st.lists(st.floats(-20, 20), min_size=3, max_size=25).filter(
    lambda values: np.std(values) > 1e-3
)


def test_interval_of_a_known_case():
    # mean 3, sd sqrt(2.5), t(.975, 4) = 2.776 from any printed table
    found = stats.paired_interval([1, 2, 3, 4, 5])
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert (found.mean, found.n) == (3, 5)
    assert found.sd == pytest.approx(math.sqrt(2.5))
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), rel=1e-6)


@given(SAMPLES, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(max_examples=50, deadline=None)
def test_interval_and_p_agree_with_scipy(values, confidence):
    test = scipy_stats.ttest_1samp(values, 0)
    theirs = test.confidence_interval(confidence)
    ours = stats.paired_interval(values, confidence=confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert stats.p_value(values) == pytest.approx(test.pvalue, abs=1e-12)


@given(SAMPLES, st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_interval_follows_scale_and_shift(values, scale, shift):
    base = stats.paired_interval(values)
    moved = stats.paired_interval([scale * v + shift for v in values])
    wanted = scale * base.low + shift, scale * base.high + shift
    assert (moved.low, moved.high) == pytest.approx(wanted, abs=1e-8)


def test_interval_of_ten_runs_covers_as_promised_and_a_percentile_bootstrap_of_five_does_not():
    rng = np.random.default_rng(1)
    ten, five = rng.normal(1, 2, (2000, 10)), rng.normal(1, 2, (2000, 5))
    inside = [(i := stats.paired_interval(row)).low <= 1 <= i.high for row in ten]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    means = five[:, rng.integers(0, 5, (400, 5))].mean(2)
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    assert np.mean((low <= 1) & (high >= 1)) < 0.88  # why it is not used


def test_equal_differences_have_no_spread_to_judge_by():
    assert stats.p_value([2.0, 2.0, 2.0]) == 0
    assert stats.p_value([0.0, 0.0]) == 1
    assert stats.equivalence([0.5, 0.5, 0.5], margin=1).equivalent
    assert not stats.equivalence([1.5, 1.5, 1.5], margin=1).equivalent


@given(SAMPLES, st.floats(0.2, 10))
@settings(max_examples=50, deadline=None)
def test_equivalence_is_two_one_sided_scipy_tests(values, margin):
    below = scipy_stats.ttest_1samp(values, margin, alternative="less").pvalue
    above = scipy_stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    found = stats.equivalence(values, margin=margin)
    assert found.p == pytest.approx(max(below, above), abs=1e-9)
    assert found.equivalent == (max(below, above) < 0.05)
    inside = -margin < found.interval.low and found.interval.high < margin
    assert found.equivalent == inside


def test_equivalence_errs_as_rarely_as_promised_on_the_edge_of_the_margin():
    rows = np.random.default_rng(2).normal(1.0, 0.8, (3000, 12))
    wrong = np.mean([stats.equivalence(row, margin=1.0).equivalent for row in rows])
    assert wrong == pytest.approx(0.05, abs=0.012)


def test_holm_of_a_worked_example():
    # p .01 .04 .03 .005, four hypotheses: .005*4, .01*3, .03*2, then carried on
    found = stats.holm([0.01, 0.04, 0.03, 0.005])
    assert found == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert stats.holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_values_and_bonferroni(values):
    adjusted = stats.holm(values)
    assert all(p <= a <= min(1, p * len(values)) for p, a in zip(values, adjusted, strict=True))
    order = np.argsort(values, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)


@pytest.mark.parametrize(
    ("effect", "n"),
    [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)],  # Cohen's tables, two-sided 5 %, power 80 %
)
def test_runs_needed_agrees_with_published_tables(effect, n):
    assert stats.runs_needed(effect=effect, sd=1.0) == n
    assert stats.runs_needed(effect=-3 * effect, sd=3.0) == n


def test_power_agrees_with_simulation():
    rows = np.random.default_rng(3).normal(1.0, 2.0, (4000, 20))
    error = rows.std(axis=1, ddof=1) / math.sqrt(20)
    excluded = rows.mean(1) - scipy_stats.t.ppf(0.975, 19) * error > 0
    assert stats.power(effect=1.0, sd=2.0, n=20) == pytest.approx(excluded.mean(), abs=0.025)


@given(st.floats(0.1, 3), st.floats(0.2, 5), st.sampled_from([0.5, 0.8, 0.95]))
@settings(max_examples=40, deadline=None)
def test_runs_needed_is_the_first_that_reaches_the_power(effect, sd, target):
    n = stats.runs_needed(effect=effect, sd=sd, target=target)
    if n is None:
        return
    assert stats.power(effect=effect, sd=sd, n=n) >= target
    assert n == 2 or stats.power(effect=effect, sd=sd, n=n - 1) < target


def test_runs_needed_gives_up_honestly():
    assert stats.runs_needed(effect=0.001, sd=5.0) is None
    assert stats.runs_needed(effect=1.0, sd=0.0) == 2


def test_runs_needed_for_equivalence_reach_the_power_in_simulation():
    n = stats.runs_needed_equivalence(margin=1.0, sd=1.5)
    rows = np.random.default_rng(4).normal(0.0, 1.5, (1500, n))
    assert np.mean([stats.equivalence(row, margin=1.0).equivalent for row in rows]) > 0.78


def test_smallest_detectable_difference_of_the_small_sets():
    # the ledger's own figures: Weizmann 9 to 13 points, UT-Interaction 8 to 11
    weizmann = [100 * stats.smallest_detectable(clips=90, disagreement=d) for d in (0.1, 0.2)]
    assert weizmann == pytest.approx([9.3, 13.2], abs=0.05)
    ut = [100 * stats.smallest_detectable(clips=120, disagreement=d) for d in (0.1, 0.2)]
    assert ut == pytest.approx([8.1, 11.4], abs=0.05)


def test_expected_maximum_of_null_differences():
    assert stats.expected_maximum(k=1, sd=2) == pytest.approx(0, abs=1e-9)
    assert stats.expected_maximum(k=2, sd=1) == pytest.approx(1 / math.sqrt(math.pi))
    assert stats.expected_maximum(k=3, sd=1) == pytest.approx(1.5 / math.sqrt(math.pi))
    assert round(stats.expected_maximum(k=9, sd=2), 1) == 3.0
    assert round(stats.expected_maximum(k=27, sd=2), 1) == 4.0
    drawn = np.random.default_rng(5).normal(0, 2, (20000, 9)).max(1).mean()
    assert stats.expected_maximum(k=9, sd=2) == pytest.approx(drawn, abs=0.03)


def test_corrected_interval_is_wider_by_the_factor_of_nadeau_and_bengio():
    folds = [1.0, 2.0, 0.5, 3.0, 1.5]
    plain = stats.paired_interval(folds)
    wide = stats.corrected_interval(folds, test_train_ratio=1 / 4)
    growth = (wide.high - wide.mean) / (plain.high - plain.mean)
    assert growth == pytest.approx(math.sqrt((1 / 5 + 1 / 4) / (1 / 5)))
    assert wide.mean == plain.mean


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (81, 263), (7, 9), (1, 1)])
def test_wilson_agrees_with_scipy(correct, n):
    theirs = scipy_stats.binomtest(correct, n).proportion_ci(method="wilson")
    ours = stats.wilson(correct, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.mean <= ours.high


def test_the_trend_is_a_permutation_test_over_runs():
    columns = np.random.default_rng(7).normal([0, 0.6, 1.2], 1, (4, 3))
    rank = scipy_stats.rankdata(columns, axis=1)
    ours = (rank * [1, 2, 3]).sum()
    orders = [np.array(one) @ [1, 2, 3] for one in itertools.permutations([1, 2, 3])]
    every = [sum(draw) for draw in itertools.product(orders, repeat=4)]
    assert stats.trend_p_value(columns) == pytest.approx(np.mean(np.array(every) >= ours))
    signs = np.array([[0, 1.0]] * 9 + [[1.0, 0]])
    assert stats.trend_p_value(signs) == pytest.approx(11 / 2**10)


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (9, 10), (8, 10), (30, 40), (20, 40)])
def test_the_score_test_is_what_wilson_inverts(correct, n):
    found = stats.wilson(correct, n)
    for edge in (found.low, found.high):
        if 0 < edge < 1:
            assert stats.score_p_value(correct, n, share=edge) == pytest.approx(0.05)


@pytest.mark.parametrize(
    "blocks", [[1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]], [[1, 2], [1, math.nan]]]
)
def test_blocks_that_are_none_are_named(blocks):
    with pytest.raises(ConfigError, match="shape"):
        stats.trend_p_value(blocks)


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.paired_interval([1.0]),
        lambda: stats.paired_interval([1.0, math.nan]),
        lambda: stats.paired_interval([1.0, 2.0], confidence=95),
        lambda: stats.corrected_interval([1.0, 2.0], test_train_ratio=0),
        lambda: stats.equivalence([1.0, 2.0], margin=0),
        lambda: stats.holm([0.5, 1.5]),
        lambda: stats.power(effect=0, sd=1, n=5),
        lambda: stats.runs_needed(effect=1, sd=1, target=1.2),
        lambda: stats.runs_needed_equivalence(margin=-1, sd=1),
        lambda: stats.smallest_detectable(clips=0, disagreement=0.1),
        lambda: stats.expected_maximum(k=0, sd=1),
        lambda: stats.wilson(5, 4),
    ],
)
def test_bad_arguments_are_named(call):
    with pytest.raises(ConfigError, match=r"\d|nan"):
        call()
