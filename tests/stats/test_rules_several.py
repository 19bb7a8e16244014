"""Claims of several contrasts: any of them, margins of their own, and a grid of them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from redistill import sweeps
from redistill.grid_rule import judge_grid
from redistill.pairing import Comparison, Pair
from redistill.rules import judge

SPREAD = np.array((-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0))  # mean 0, sd 0.70


def contrast(differences, profile="standard", name="a", margin=None):
    pairs = tuple(
        Pair("0", str(i), float(x), 0.0, 1, (f"{name}{i}",)) for i, x in enumerate(differences)
    )
    return Comparison("synthetic", "crossed", profile, "s", pairs, name, margin)


def some(*means, need="any", scale=1.0, rule="superiority", direction="greater", margin=1.0):
    group = [contrast(mean + scale * SPREAD, name=f"arm{i}") for i, mean in enumerate(means)]
    return judge(group, rule=rule, direction=direction, margin=margin, need=need)


@pytest.mark.parametrize(
    ("means", "scale", "state"),
    [
        ((2.0, -2.0), 1, "reproduced"),
        ((0.0, 3.0), 1, "reproduced"),
        ((0.0, -2.0), 1, "not reproduced"),
        ((-2.0, -3.0), 1, "not reproduced"),
        ((0.45, 0.4), 1, "not reproduced"),  # both must fail, so each by its own 95 % interval
        ((0.0, -9.0), 4, "inconclusive"),
        ((1.0, 1.0), 4, "inconclusive"),
    ],
)
def test_one_of_several_is_enough_and_all_must_fail(means, scale, state):
    found = some(*means, scale=scale)
    assert found.state == state
    assert (found.runs_needed is not None) == (state == "inconclusive")
    assert found.interval.mean == pytest.approx(max(means))  # the strongest speaks
    assert found.why.startswith(f"arm{int(np.argmax(means))}")
    assert found.found.name == ""  # "the weakest comparison" would be wrong


def test_direction_less_mirrors_any():
    for means in [(2.0, -2.0), (0.0, -2.0), (0.55, 0.0)]:
        up, down = some(*means), some(*(-m for m in means), direction="less")
        assert (up.state, up.runs_needed) == (down.state, down.runs_needed)


def test_p_of_any_is_the_smallest_after_holm():
    means = (0.9, 0.7, -0.4)
    theirs = [scipy_stats.ttest_1samp(mean + SPREAD, 0).pvalue for mean in means[:2]]
    assert some(*means).p == pytest.approx(3 * min(theirs))
    assert some(-0.9, -0.7).p == 1


def test_what_holds_by_itself_may_not_hold_as_the_best_of_several():
    alone = some(0.55)
    assert (alone.state, alone.p < 0.05) == ("reproduced", True)
    both = some(0.55, 0.0)
    assert (both.state, both.runs_needed) == ("inconclusive", 2)  # see test_ledger_outlook
    assert "by Holm" in both.why
    assert both.p == pytest.approx(2 * alone.p)


def test_two_true_nulls_are_rarely_called_any():
    rng = np.random.default_rng(21)
    called = 0
    for noise in rng.normal(0, 2, (600, 3, 10)):
        group = [contrast(row) for row in noise]
        found = judge(group, rule="superiority", direction="greater", margin=1.0, need="any")
        called += found.state == "reproduced"
    assert 0 < called <= 0.04 * 600  # 2.5 % by Bonferroni; 7.3 % without it


def test_a_claim_true_by_one_contrast_is_rarely_called_refuted():
    """The first has the smallest effect of interest; the other two are clearly worse."""
    rng = np.random.default_rng(22)
    wrong = 0
    for noise in rng.normal(0, 1, (600, 3, 10)):
        group = [contrast(row + mean) for row, mean in zip(noise, (1, -5, -5), strict=True)]
        found = judge(group, rule="superiority", direction="greater", margin=1.0, need="any")
        wrong += found.state == "not reproduced"
    assert 0 < wrong <= 0.045 * 600  # 2.5 % expected


@pytest.mark.parametrize("rule", ["equivalence", "ratio"])
def test_any_serves_other_rules(rule):
    assert some(0.0, 5.0, rule=rule).state == "reproduced"
    assert some(-3.0, -5.0, rule=rule).state == "not reproduced"


def test_few_and_quick_runs_decide_nothing_of_any():
    few = judge([contrast(5 + SPREAD[:9])] * 2, rule="superiority", direction="greater",
                margin=1.0, need="any")  # fmt: skip
    assert (few.state, few.p, few.runs_needed) == ("inconclusive", None, 1)
    quick = judge([contrast(5 + SPREAD, profile="quick")] * 2, rule="superiority",
                  direction="greater", margin=1.0, need="any")  # fmt: skip
    assert (quick.state, quick.p, quick.interval) == ("not yet run", None, None)


def test_a_contrast_may_have_a_margin_of_its_own():
    """A slope of about 0.2 is below the claim's margin of 1, but not below its own of 0."""
    gain, slope = contrast(3 + SPREAD, name="gain"), contrast(0.2 + SPREAD, name="slope")
    common = {"rule": "superiority", "direction": "greater", "margin": 1.0}
    assert judge([gain, slope], **common).state == "not reproduced"
    own = judge([gain, replace(slope, margin=0.0)], **common)
    assert (own.state, own.found.name) == ("inconclusive", "slope")
    assert own.runs_needed == judge([slope], **common | {"margin": 0.0}).runs_needed


# -- a grid


def grid(strength=0.0, runs=10, noise=1.0, profile="standard", seed=1, shape=(3, 4)):
    """Cells row by row, and the same as an array (rows, columns, runs)."""
    rng = np.random.default_rng(seed)
    values = noise * rng.normal(size=(*shape, runs)) + 5 * rng.normal(size=(*shape[:1], 1, 1))
    own = np.arange(shape[0])[:, None] * np.arange(shape[1])
    own = own - own.mean(axis=0) - own.mean(axis=1, keepdims=True) + own.mean()
    values = values + strength * own[:, :, None]
    cells = [contrast(values[r, c], profile=profile, name=f"{r}{c}-") for r in range(shape[0])
             for c in range(shape[1])]  # fmt: skip
    return cells, values


def test_a_grid_is_judged_by_the_permutation_test_of_its_values():
    cells, values = grid(strength=2.0)
    found = judge_grid(cells, columns=4, margin=0.0)
    assert (found.state, found.runs_needed) == ("reproduced", None)
    assert found.p == sweeps.interaction_p(values)
    assert found.interval.mean == pytest.approx(sweeps.interaction_share(values))
    assert found.found.differences == pytest.approx(sweeps.interaction_parts(values))
    assert found.found.pairs[2].runs[:2] == ("00-2", "01-2")
    turned = judge_grid(cells, columns=3, margin=0.0)  # rows and columns are not to be mixed up
    assert turned.interval.mean != pytest.approx(found.interval.mean)


def test_a_grid_without_interaction_is_open_or_below_its_margin():
    cells, _ = grid()
    found = judge_grid(cells, columns=4, margin=0.0)
    assert found.state == "inconclusive"
    assert found.runs_needed > 0
    assert judge_grid(cells, columns=4, margin=0.2).state == "not reproduced"


def test_grids_of_nothing_are_rarely_called_interacting():
    called = [
        judge_grid(grid(seed=seed)[0], columns=4, margin=0.0).state == "reproduced"
        for seed in range(100)
    ]
    assert np.mean(called) <= 0.11


@pytest.mark.parametrize("runs", [1, 2, 3, 9])
def test_a_grid_of_few_runs_decides_nothing(runs):
    found = judge_grid(grid(strength=9.0, runs=runs)[0], columns=4, margin=0.0)
    assert (found.state, found.p, found.runs_needed) == ("inconclusive", None, 10 - runs)
    assert len(found.found.pairs) == (runs if runs > 2 else 0)


def test_a_quick_grid_is_no_verdict_even_if_nothing_varies():
    found = judge_grid(grid(profile="quick")[0], columns=4, margin=0.0)
    assert (found.state, found.p, found.interval) == ("not yet run", None, None)
    still = [contrast(np.full(10, 70.0)) for _ in range(4)]
    assert judge_grid(still, columns=2, margin=0.0).state == "inconclusive"
