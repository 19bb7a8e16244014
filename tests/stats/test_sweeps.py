"""Series over a parameter: closed forms, an analysis of variance by hand, p values of nothing."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from redistill.errors import ConfigError
from redistill.sweeps import (
    gap_slope,
    interaction_p,
    interaction_parts,
    interaction_share,
    label_area,
    rank_changes,
)


def drawn(seed, interaction=0.0, noise=1.0, shape=(3, 4, 6), blocks=2.0):
    """Values with effects of methods, pairs and runs, and of runs on methods and on pairs."""
    rng = np.random.default_rng(seed)
    methods, pairs, runs = shape
    parts = [(methods, 1, 1), (1, pairs, 1), (1, 1, runs), (methods, 1, runs), (1, pairs, runs)]
    values = noise * rng.normal(size=shape) + sum(blocks * rng.normal(size=x) for x in parts)
    own = np.random.default_rng(99).normal(size=(methods, pairs, 1))
    own -= own.mean(axis=0, keepdims=True)
    own -= own.mean(axis=1, keepdims=True)
    return values + interaction * own / math.sqrt((own**2).mean())


# -- label fractions and gaps


def test_a_method_as_accurate_everywhere_has_that_area():
    assert label_area([0.05, 0.1, 0.5, 1.0], [62.0] * 4) == pytest.approx(62)


def test_the_area_of_a_line_over_log_fractions_is_its_middle_whatever_the_grid():
    for fractions in ([0.01, 1.0], [0.01, 0.05, 0.2, 1.0], [0.01, 0.011, 0.9, 1.0]):
        line = [70 + 8 * math.log10(x) for x in fractions]
        assert label_area(fractions, line) == pytest.approx(70 + 8 * math.log10(0.1))


def test_the_area_is_the_trapezoid_rule_of_numpy():
    fractions, accuracies = [0.05, 0.1, 0.2, 0.5, 1.0], [30, 44, 61, 66, 68]
    theirs = np.trapezoid(accuracies, np.log(fractions)) / math.log(20)
    assert label_area(fractions, accuracies) == pytest.approx(theirs)
    in_bits = np.trapezoid(accuracies, np.log2(fractions)) / math.log2(20)
    assert theirs == pytest.approx(in_bits)  # of no logarithm in particular


def test_the_slope_is_that_of_scipy():
    gaps, gains = [1.0, 1.5, 3.0], [-0.4, 1.1, 1.9]
    assert gap_slope(gaps, gains) == pytest.approx(scipy_stats.linregress(gaps, gains).slope)
    assert gap_slope([0, 2], [1, 7]) == pytest.approx(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: label_area([0.1, 0.1], [1, 2]), "above 0 and rise"),
        (lambda: label_area([0.0, 0.1], [1, 2]), "above 0 and rise"),
        (lambda: label_area([0.1], [1]), "2 or more"),
        (lambda: label_area([0.1, 0.2], [1, 2, 3]), "as many"),
        (lambda: gap_slope([1, 1], [1, 2]), "all alike"),
        (lambda: gap_slope([1, 2], [1, math.nan]), "finite"),
        (lambda: interaction_share(np.zeros((3, 4))), r"shape \(3, 4\)"),
        (lambda: interaction_share(np.zeros((3, 4, 1))), "2 or more each"),
        (lambda: interaction_parts(np.zeros((3, 4, 2))), "2 runs.*at least 3"),
        (lambda: interaction_p(np.full((2, 2, 2), np.inf)), "finite"),
    ],
)
def test_what_cannot_be_summed_up_says_why(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


# -- methods x pairs


def by_hand(values):
    """Share by an analysis of variance in loops: sums of squares of each effect, one at a time."""
    methods, pairs, runs = values.shape
    cells = list(itertools.product(range(methods), range(pairs), range(runs)))
    mean = values.mean()
    interaction = residual = total = 0.0
    for m, p, r in cells:
        of_m, of_p, of_r = values[m].mean(), values[:, p].mean(), values[:, :, r].mean()
        of_mp, of_mr, of_pr = values[m, p].mean(), values[m, :, r].mean(), values[:, p, r].mean()
        interaction += (of_mp - of_m - of_p + mean) ** 2
        three = values[m, p, r] - of_mp - of_mr - of_pr + of_m + of_p + of_r - mean
        residual += three**2
        total += (values[m, p, r] - of_r) ** 2
    df = (methods - 1) * (pairs - 1)
    return (interaction - df * residual / (df * (runs - 1))) / total


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
def test_the_share_is_that_of_an_analysis_of_variance_by_hand(strength):
    for shape in [(3, 4, 6), (2, 2, 2), (5, 4, 3)]:
        values = drawn(1, strength, shape=shape)
        assert interaction_share(values) == pytest.approx(by_hand(values), abs=1e-12)


def test_without_noise_the_share_is_what_the_effects_are_made_of():
    """Methods +-1 and +-2 in a 2 x 2 crossing, alike in each run: variances 1, 4 and 0.25."""
    signs = np.array([1.0, -1.0])
    cell = signs[:, None] + 2 * signs[None, :] + 0.5 * signs[:, None] * signs[None, :]
    values = cell[:, :, None] + np.array([0.0, 7.0, -3.0])  # runs are no variance within runs
    assert interaction_share(values) == pytest.approx(0.25 / 5.25)


def test_no_interaction_has_a_share_of_nothing_on_average():
    shares = [interaction_share(drawn(seed)) for seed in range(400)]
    mean, error = np.mean(shares), np.std(shares) / 20
    assert abs(mean) < 4 * error
    assert min(shares) < 0 < max(shares)  # not cut off at 0, which would be a bias


def test_the_share_is_one_of_any_unit_and_of_any_order():
    values = drawn(2, 1.0)
    share = interaction_share(values)
    assert interaction_share(3 + values / 100) == pytest.approx(share)
    assert interaction_share(values[::-1, [2, 0, 3, 1]][:, :, ::-1]) == pytest.approx(share)
    assert interaction_share(values.transpose(1, 0, 2)) == pytest.approx(share)


def test_the_parts_of_runs_are_jackknife_values():
    """Against leaving out one run at a time, in units of the variance of all."""
    values = drawn(3, 0.7)
    runs, whole = values.shape[2], interaction_share(values)

    def variance(x):
        return ((x - x.mean(axis=(0, 1))) ** 2).sum() / x.shape[2]

    without = []
    for run in range(runs):
        rest = np.delete(values, run, axis=2)
        without.append(interaction_share(rest) * variance(rest) / variance(values))
    parts = interaction_parts(values)
    assert parts == pytest.approx([runs * whole - (runs - 1) * x for x in without])
    assert parts.mean() == pytest.approx(whole)


def test_p_of_no_interaction_is_uniform_whatever_runs_do_to_methods_and_pairs():
    found = [interaction_p(drawn(seed), permutations=99, seed=seed) for seed in range(300)]
    assert scipy_stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) <= 0.09


def test_p_is_exact_with_errors_that_are_far_from_normal_and_shared_by_methods():
    rng = np.random.default_rng(5)
    found = []
    for seed in range(300):
        wild = rng.standard_cauchy((3, 3, 4)) + rng.standard_cauchy((1, 3, 4))
        found.append(interaction_p(wild, permutations=99, seed=seed))
    assert scipy_stats.kstest(found, "uniform").pvalue > 0.01


def test_p_counts_all_permutations_where_they_are_few():
    """2 methods, 3 runs: each run's residuals keep or change sign, 8 ways in 4 pairs."""
    values = drawn(6, 1.0, shape=(2, 3, 3))
    residuals = np.diff(values, axis=0)[0]
    residuals = residuals - residuals.mean(axis=0)  # (pairs, runs), of the difference of methods

    def strength(signs):
        return ((residuals * signs).sum(axis=1) ** 2).sum()

    seen = strength(np.ones(3))
    ways = [strength(np.array(signs)) for signs in itertools.product([1, -1], repeat=3)]
    exact = np.mean(np.array(ways) >= seen - 1e-9)
    assert interaction_p(values) == pytest.approx(exact, abs=0.02)


def test_a_strong_interaction_has_the_least_p_and_nothing_at_all_has_one():
    assert interaction_p(drawn(7, 4.0), permutations=199) == 1 / 200
    still = np.full((3, 4, 5), 0.1)  # whose mean is not quite 0.1
    assert (interaction_p(still), interaction_share(still)) == (1, 0)
    additive = drawn(8, noise=0.0)
    assert interaction_p(additive) == 1  # what rounding leaves is no interaction
    assert interaction_share(additive) == pytest.approx(0, abs=1e-12)
    assert interaction_p(drawn(9), seed=3) == interaction_p(drawn(9), seed=3)


def test_rank_changes_are_the_distance_of_kendall():
    rng = np.random.default_rng(10)
    values = rng.normal(size=(5, 4, 6))
    means = values.mean(axis=2)
    theirs = [
        (1 - scipy_stats.kendalltau(means[:, a], means[:, b]).statistic) / 2
        for a, b in itertools.combinations(range(4), 2)
    ]
    assert rank_changes(values) == pytest.approx(np.mean(theirs))


def test_ranks_that_stay_or_turn_round_or_tie():
    rising = np.arange(3.0)[:, None, None] * np.ones((3, 2, 2))
    assert rank_changes(rising) == 0
    turned = rising.copy()
    turned[:, 1] = turned[::-1, 1]
    assert rank_changes(turned) == 1
    tied = rising.copy()
    tied[:, 1] = 5
    assert rank_changes(tied) == 0
