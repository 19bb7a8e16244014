"""What an open verdict takes, checked by the tests themselves on data of that many runs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from test_claims import around, claim, records
from test_rules_several import SPREAD, some

from redistill import stats
from redistill.claims import ledger, load_claims
from redistill.outlook import for_correction, for_power, for_share, for_trend, p_later
from redistill.reference import REFERENCE, headline, records_in


def stretched(n, mean, sd):
    """``n`` numbers of exactly this mean and sample standard deviation."""
    base = np.sin(np.arange(n) * 2.4)
    base = (base - base.mean()) / base.std(ddof=1)
    return mean + sd * base


def interval(n, mean, sd):
    return stats.paired_interval(stretched(n, mean, sd))


RULES = {
    "superiority": lambda data: scipy_stats.ttest_1samp(data, 0).pvalue,
    "ratio": lambda data: scipy_stats.ttest_1samp(data, 1.0).pvalue,
    "equivalence": lambda data: scipy_stats.ttest_1samp(data, 1.0, alternative="less").pvalue,
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [11, 25, 400])
def test_later_p_is_that_of_so_many_runs_with_this_mean_and_spread(rule, n):
    found = p_later(interval(10, 0.4, 1.3), rule=rule, margin=1.0)(n)
    assert found == pytest.approx(RULES[rule](stretched(n, 0.4, 1.3)), rel=1e-6)


def test_later_p_of_a_share_is_the_score_test():
    found = p_later(stats.wilson(7, 10), rule="share", margin=0.8)(40)
    assert found == pytest.approx(2 * scipy_stats.norm.sf((0.7 - 0.5) / math.sqrt(0.25 / 40)))


@pytest.mark.parametrize("others", [(), (0.001, 0.2), (0.03, 0.03, 0.6, 0.004)])
def test_after_a_correction_it_takes_the_first_number_of_runs_that_holds(others):
    def corrected(n):
        """Holm's p of the first, step by step."""
        own = scipy_stats.ttest_1samp(stretched(n, 0.5, 0.75), 0).pvalue
        steps = [p * (len(others) + 1 - i) for i, p in enumerate(sorted([own, *others]))]
        return max(steps[: sorted([own, *others]).index(own) + 1])

    later = p_later(interval(10, 0.5, 0.75), rule="superiority", margin=1.0)
    found = for_correction(later, others, 10)
    first = next(n for n in itertools.count(11) if corrected(n) < 0.05)
    assert found.runs == first - 10
    assert found.text.startswith(f"{first - 10} more run")


def test_the_ledger_says_how_many_runs_holm_takes():
    """Five claims of one paper at p = .035 each: all but none hold together."""
    shift = 0.55
    ids = [f"S{i}" for i in range(1, 6)]
    runs = [one for name in ids for one in records(around(shift), name)]
    judged = ledger([claim(name) for name in ids], runs)
    p = scipy_stats.ttest_1samp(around(shift), 0).pvalue
    assert 0.01 < p < 0.05
    for (found,) in judged.values():
        assert found.state == "inconclusive"
        assert found.p_holm == pytest.approx(5 * p)
        n = 10 + found.runs_needed  # at which p, five times, with mean and spread as they are ...
        sd = np.std(around(shift), ddof=1)
        own = [scipy_stats.ttest_1samp(stretched(m, shift, sd), 0).pvalue for m in (n - 1, n)]
        assert 5 * own[1] < 0.05 <= 5 * own[0]
        assert "Holm" in found.outlook.text


def test_the_best_of_several_takes_runs_enough_for_holm_over_them():
    found = some(0.55, 0.0)
    sd = np.std(SPREAD, ddof=1)
    own = [scipy_stats.ttest_1samp(stretched(n, 0.55, sd), 0).pvalue
           for n in (9 + found.runs_needed, 10 + found.runs_needed)]  # fmt: skip
    assert 2 * own[1] < 0.05 <= 2 * own[0]


@pytest.mark.parametrize("arms", [2, 3, 4])
def test_a_trend_the_wrong_way_is_not_brought_out_by_more_runs(arms):
    rising = np.random.default_rng(arms).normal(size=(20, arms)) + 2.0 * np.arange(arms)
    assert for_trend(rising).runs > 0
    assert for_trend(-rising).runs is None
    assert "no trend" in for_trend(-rising).text


def test_a_trend_is_shown_by_page_once_the_same_runs_came_so_often():
    """Thirty runs of a weak trend, repeated: scipy's test passes from about the number found on."""
    blocks = [[1, 2, 3]] * 9 + [[2, 1, 3]] * 7 + [[3, 2, 1]] * 10 + [[1, 3, 2]] * 3 + [[2, 3, 1]]
    found = for_trend(blocks)
    times = (30 + found.runs) / 30
    assert 3 < times < 4
    p = [
        scipy_stats.page_trend_test(blocks * n).pvalue
        for n in (math.floor(times), math.ceil(times))
    ]
    assert p[1] < 0.05 < p[0]


def test_power_that_is_there_already_is_not_asked_for_again():
    """Ten runs have the power; the mean lies in between, so the nearer way out counts."""
    between = interval(10, 0.45, 0.7)
    assert stats.power(effect=1.0, sd=0.7, n=10) > 0.8
    found = for_power(between, 10, margin=1.0)
    data = [scipy_stats.ttest_1samp(stretched(10 + found.runs - i, 0.55, 0.7), 0) for i in (0, 1)]
    assert data[0].pvalue < 0.05
    assert found.runs == 1 or data[1].pvalue >= 0.05
    assert "stay as they are" in found.text


@pytest.mark.parametrize(
    ("mean", "rule", "more"),
    [
        (4.0, "superiority", 3),  # clear already: nothing but the number of runs is missing
        (-4.0, "superiority", 3),
        (0.3, "superiority", None),
        (4.0, "ratio", 3),
        (1.3, "ratio", None),
        (4.0, "equivalence", 3),
        (0.8, "equivalence", None),
    ],
)
def test_too_few_runs_that_are_clear_take_no_more_than_ten(mean, rule, more):
    found = for_power(interval(7, mean, 1.5), 7, rule=rule, margin=1.0)
    assert (found.runs == 3) == (more == 3)
    assert found.runs >= 3


def test_power_asks_for_the_runs_that_simulation_needs():
    found = for_power(interval(10, 0.2, 2.0), 10, margin=1.0)
    rng = np.random.default_rng(5)
    drawn = rng.normal(1.0, 2.0, (4000, 10 + found.runs))
    low = drawn.mean(1) - scipy_stats.t.ppf(0.975, drawn.shape[1] - 1) * scipy_stats.sem(drawn, 1)
    assert (low > 0).mean() == pytest.approx(0.8, abs=0.025)
    assert "80 % power" in found.text


@pytest.mark.parametrize(
    ("outlook", "said"),
    [
        (for_power(stats.paired_interval([-1.0, 1.0] * 5), 10), "no difference at all"),
        (for_power(interval(10, 0.0, 400.0), 10, margin=1.0), "not even 10,000 runs"),
        (for_power(interval(10, 1.2, 0.9), 10, rule="equivalence", margin=1.0), "however many"),
        (for_correction(None, [0.2], 10), "permutations"),
        (for_share(8000, 10_000, margin=0.9999), "not even 10,000 runs"),
    ],
)
def test_where_no_number_can_be_given_it_says_why(outlook, said):
    assert outlook.runs is None
    assert said in outlook.text


def test_every_open_verdict_of_the_reference_says_what_it_takes():
    claims = load_claims()
    judged = ledger(claims, records_in(REFERENCE))
    for name, verdicts in judged.items():
        for one in verdicts:
            assert bool(one.outlook.text) == (one.state == "inconclusive"), name
            assert one.runs_needed is None or one.runs_needed > 0
    (waiting,) = [one for one in judged["S1"] if one.pairs]
    assert (waiting.runs_needed, "waits for S3" in waiting.outlook.text) == (None, True)
    assert "waits for S3" in headline("S1")
