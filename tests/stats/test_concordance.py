"""Rank correlation within strata: against SciPy, slow loops and all permutations of a tiny case."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from redistill.concordance import stratified_tau, stratified_tau_p
from redistill.errors import ConfigError


def slow_tau(x, y, strata):
    more = less = 0
    for i in range(len(x)):
        for j in range(i):
            if strata[i] == strata[j]:
                product = (x[i] - x[j]) * (y[i] - y[j])
                more += product > 0
                less += product < 0
    return (more - less) / (more + less)


def sample(seed, n=24, levels=3, digits=None, link=0.7):
    """Measures that go together within strata, and labels of strata of unequal size."""
    rng = np.random.default_rng(seed)
    strata = rng.integers(0, levels, n)
    x = rng.normal(size=n)
    y = link * x + rng.normal(size=n)
    if digits is not None:  # ties
        x, y = x.round(digits), y.round(digits)
    return x, y, strata


@pytest.mark.parametrize("n", [2, 3, 10, 60])
def test_one_stratum_without_ties_is_kendalls_tau(n):
    x, y, _ = sample(n, n=n)
    assert stratified_tau(x, y, ["all"] * n) == pytest.approx(scipy_stats.kendalltau(x, y)[0])


@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_several_strata_and_ties_are_those_of_a_slow_loop(levels, digits):
    for seed in range(10):
        x, y, strata = sample(seed, levels=levels, digits=digits)
        assert stratified_tau(x, y, strata) == pytest.approx(slow_tau(x, y, strata))
        assert stratified_tau(y, x, strata) == pytest.approx(slow_tau(x, y, strata))


def test_ties_say_nothing():
    assert stratified_tau([0, 0, 1, 2], [5, 6, 7, 7], "aaaa") == 1  # tau-b would be 0.8
    assert scipy_stats.kendalltau([0, 0, 1, 2], [5, 6, 7, 7])[0] == pytest.approx(0.8)


def test_what_differs_between_strata_makes_no_correlation():
    """Both measures rise with the training loss; at one loss they go against each other."""
    x, y = [1, 2, 11, 12, 21, 22], [2, 1, 12, 11, 22, 21]
    assert scipy_stats.kendalltau(x, y)[0] > 0.5
    assert stratified_tau(x, y, [0.1, 0.1, 0.5, 0.5, 0.9, 0.9]) == -1
    moved = [y[i] + 1000 * (i > 3) for i in range(6)]
    assert stratified_tau(x, moved, [0.1, 0.1, 0.5, 0.5, 0.9, 0.9]) == -1


def test_only_ranks_count_and_the_sign_turns_with_a_measure():
    x, y, strata = sample(3)
    found = stratified_tau(x, y, strata)
    assert stratified_tau(np.exp(x), y**3, strata) == found
    assert stratified_tau(-x, y, strata) == -found
    mixed = np.random.default_rng(1).permutation(x.size)
    assert stratified_tau(x[mixed], y[mixed], strata[mixed]) == found


def all_orders(y, strata):
    """Every y that permuting within strata can give, as often as it does."""
    groups = [
        [i for i, one in enumerate(strata) if one == label] for label in dict.fromkeys(strata)
    ]
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        moved = list(y)
        for group, order in zip(groups, orders, strict=True):
            for to, source in zip(group, order, strict=True):
                moved[to] = y[source]
        yield moved


@pytest.mark.parametrize(
    ("y", "strata"),
    [
        ([1, 2, 4, 3, 1, 3, 2], "aaaabbb"),
        ([4, 3, 1, 2, 1, 2, 3], "abababa"),
        ([1, 1, 2, 2, 1, 3, 3], "aaaabbb"),  # ties
    ],
)
def test_p_is_that_of_all_permutations_within_strata(y, strata):
    x = [1, 2, 3, 4, 1, 2, 3]
    seen = abs(slow_tau(x, y, strata))
    exact = np.mean(
        [abs(slow_tau(x, one, strata)) >= seen - 1e-12 for one in all_orders(y, strata)]
    )
    assert 0.02 < exact < 0.98
    draws = 8000
    found = stratified_tau_p(x, y, strata, draws=draws)
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / draws))
    assert stratified_tau_p(x, [-one for one in y], strata, draws=draws) == found  # two-sided


def test_p_counts_the_order_seen_and_is_never_zero():
    x = list(range(12))
    assert stratified_tau_p(x, x, [0] * 12, draws=99) == 1 / 100
    assert stratified_tau_p([1, 2], [1, 2], [0, 0], draws=99) == 1  # |tau| is 1 in any order
    apart = ["a", "a", "b", "b", "c", "c"]  # 2 of 8 orders have |tau| = 1; without strata 2 of 720
    found = stratified_tau_p(range(6), range(6), apart, draws=4000)
    assert found == pytest.approx(0.25, abs=0.03)


def test_p_is_seeded_and_leaves_its_arguments_alone():
    x, y, strata = sample(5, link=0.2)
    before = y.copy()
    p = [stratified_tau_p(x, y, strata, draws=200, seed=seed) for seed in (1, 1, 2)]
    assert p[0] == p[1] != p[2]
    assert (y == before).all()


def test_p_is_uniform_where_nothing_goes_together():
    p = [stratified_tau_p(*sample(seed, link=0.0), draws=99) for seed in range(200)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01
    assert stratified_tau_p(*sample(1, link=3.0), draws=999) < 0.01


@pytest.mark.parametrize(
    ("x", "y", "strata", "message"),
    [
        ([1, 2], [1, 2], ["a", "b"], "no pair .*2 numbers in 2 strata"),
        ([1, 1], [1, 2], ["a", "a"], "no pair"),
        ([1, 2], [3, 3], ["a", "a"], "no pair"),
        ([1, 2], [1], ["a", "a"], r"y of \(1,\) and 2 strata"),
        ([1, 2], [1, 2], ["a"], "and 1 strata"),
        ([], [], [], "2 or more"),
        ([1, math.nan], [1, 2], "aa", "must be finite"),
        ([1, 2], [1, math.inf], "aa", "must be finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(x, y, strata, message):
    for function in (stratified_tau, stratified_tau_p):
        with pytest.raises(ConfigError, match=message):
            function(x, y, strata)


def test_no_draws_are_refused():
    with pytest.raises(ConfigError, match="draws is 0"):
        stratified_tau_p([1, 2], [1, 2], "aa", draws=0)
