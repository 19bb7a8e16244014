"""The claims on flatness (P2, P6, P7), judged on rows as notebook 4 writes them, and the ledger."""

import numpy as np
import pytest
from flat_runs import (
    HOLDS,
    OURS,
    SPREAD,
    gains,
    inner,
    judge,
    one_number,
    row,
    run,
    sharpness,
    taus,
)
from scipy import stats as scipy_stats

from redistill.claims import ledger, load_claims, overall, verdict
from redistill.reference import measured
from redistill.reporting.index import _strip
from redistill.stats import runs_needed


def test_notebook_4_tests_four_claims():
    assert sorted(OURS) == ["P1", "P2", "P6", "P7"]
    assert {name: one.unit for name, one in OURS.items()} == {
        "P1": "log10", "P2": "tau", "P6": "log10", "P7": "points",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        (taus(-0.3, 0.2), "reproduced"),
        (taus(0.3, 0.2), "not reproduced"),
        (taus(0.0, 0.2), "inconclusive"),  # without a margin no effect is too small
        (taus(-0.05, 0.2), "inconclusive"),
        (taus(-0.3, 0.2, runs=9), "inconclusive"),
    ],
)
def test_flatter_goes_with_a_smaller_gap_if_tau_is_below_zero(runs, state):
    found = judge("P2", runs)
    assert found.state == state
    assert found.interval.n == len(runs)


def test_without_a_margin_the_runs_needed_are_those_of_the_effect_seen():
    found = judge("P2", taus(-0.05, 0.2))
    needed = runs_needed(effect=0.05, sd=0.2 * np.std(SPREAD, ddof=1))
    assert found.runs_needed == needed - 10 > 10
    assert judge("P2", taus(0.05, 0.2)).runs_needed == needed - 10  # to be refuted by it
    assert judge("P2", taus(-0.3, 0.2, runs=9)).runs_needed == 1
    level = judge("P2", one_number("flatness_gap_tau", [0.2, -0.2] * 5, "tau", at="equal"))
    assert (level.state, level.runs_needed) == ("inconclusive", None)  # no number of runs would


def test_a_tau_of_zero_in_every_run_refutes():
    found = judge("P2", one_number("flatness_gap_tau", [0.0] * 10, "tau", at="equal"))
    assert (found.state, found.why) == ("not reproduced", "there is no difference in any run")


@pytest.mark.parametrize(
    ("means", "noise", "state", "weakest"),
    [
        ((1.0, 2.0, 1.5), 0.1, "reproduced", None),
        ((1.0, 2.0, 0.5), 0.1, "not reproduced", "kd_iframe equal"),
        ((1.0, 0.5, 2.0), 0.1, "not reproduced", "ce equal"),
        ((1.0, 2.0, 1.05), 0.5, "inconclusive", "kd_iframe equal"),
        ((1.0, 0.99, 2.0), 0.1, "inconclusive", "ce equal"),
    ],
)
def test_pkd_must_be_flatter_than_each_control_at_equal_loss(means, noise, state, weakest):
    found = judge("P6", inner(*means, noise=noise))
    assert found.state == state
    assert found.name.startswith("ic_sharpness pkd equal against ")
    assert weakest is None or found.name.endswith(weakest)
    assert (found.runs_needed is not None) == (state == "inconclusive")


def test_nine_runs_do_not_show_flatter_classifiers():
    found = judge("P6", list(inner(1.0, 3.0, 2.5))[:9])
    assert (found.state, found.runs_needed, found.p) == ("inconclusive", 1, None)


def test_a_control_below_pkd_by_the_plain_interval_alone_is_not_refuted():
    """Either of two controls refutes, so each does so by its 97.5 % interval."""
    runs = list(inner(1.53, 3.0, 1.0, noise=1.0))
    plain = scipy_stats.ttest_1samp([0.53 + x for x in SPREAD], 0).pvalue
    assert 0.025 < plain < 0.05
    assert judge("P6", runs).state == "inconclusive"
    assert judge("P6", inner(1.63, 3.0, 1.0, noise=1.0)).state == "not reproduced"


@pytest.mark.parametrize(
    ("runs", "state", "needed"),
    [
        (gains(3.0), "reproduced", None),
        (gains(0.0), "not reproduced", None),  # the interval lies below 1 point
        (gains(-3.0), "not reproduced", None),
        (gains(0.6, 4.0), "inconclusive", 53),
        (gains(3.0, runs=4), "inconclusive", 6),
    ],
)
def test_the_order_that_follows_flatness_must_be_better(runs, state, needed):
    found = judge("P7", runs)
    assert (found.state, found.runs_needed) == (state, needed)
    assert len(found.pairs) == len(runs)


def test_worlds_where_flatness_helps_and_does_not_leave_it_open():
    runs = [*gains(3.0), *gains(-3.0, world="motion_led")]
    found = verdict(OURS["P7"], runs)
    assert {one.world: one.state for one in found} == {
        "scene_led": "reproduced", "motion_led": "not reproduced",
    }  # fmt: skip
    assert overall(found) == "inconclusive"
    assert overall(verdict(OURS["P7"], [*gains(3.0), *gains(2.0, world="motion_led")])) == (
        "reproduced"
    )


# -- in the ledger


def orders():
    """Runs of notebook 3 in which the coded order is best and the progression adds something."""
    keys = {"modality": "all", "exit": "mean"}
    means = {"pkd": 64, "anticurriculum": 60, "summary": 60, "kd_random": 60, "kd_final": 61,
             "kd_iframe": 61, "kd_mean": 61}  # fmt: skip
    for seed, noise in enumerate(SPREAD):
        rows = [
            row("accuracy", (points + noise * (arm == "pkd")) / 100, "fraction", arm=arm,
                split=split, **keys)
            for arm, points in means.items() for split in ("val", "test")
        ]  # fmt: skip
        yield run(seed, rows)


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ([], "inconclusive"),  # not yet run
        (gains(3.0, profile="quick"), "inconclusive"),
        (gains(3.0, world="motion_led"), "inconclusive"),  # run, but elsewhere
        (gains(3.0, runs=9), "inconclusive"),
        (gains(0.6, 4.0), "inconclusive"),
        (gains(-3.0), "not reproduced"),
        (gains(3.0), "reproduced"),
        ([*gains(3.0), *gains(3.0, profile="quick")], "reproduced"),
    ],
)
def test_the_order_of_teachers_counts_only_with_flatness(others, state):
    judged = ledger(load_claims(), [*orders(), *others])
    (p4,), p5 = judged["P4"], judged["P5"][0]
    assert p5.state == "reproduced"
    assert p4.state == state
    assert (state == "reproduced") == ("P7" not in p4.why)


def test_all_four_stand_in_the_ledger_with_what_cannot_be_tested():
    runs = [*sharpness(HOLDS, HOLDS), *taus(-0.3, 0.2), *inner(1.0, 2.0, 1.5), *gains(3.0)]
    judged = ledger(load_claims(), runs)
    assert [v.state for v in judged["P1"]] == ["reproduced", "not testable here"]
    assert [v.state for v in judged["P2"]] == ["reproduced", "not testable here"]
    assert [v.state for v in judged["P6"]] == [v.state for v in judged["P7"]] == ["reproduced"]
    p = [judged[name][0].p for name in sorted(OURS)]
    assert [judged[name][0].p_holm for name in sorted(OURS)] == pytest.approx(holm(p))


def holm(p):
    """Slow: the k-th smallest times how many are left, never falling."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    found, most = [0.0] * len(p), 0.0
    for k, i in enumerate(order):
        most = max(most, min(1.0, p[i] * (len(p) - k)))
        found[i] = most
    return found


@pytest.mark.parametrize(
    ("name", "runs", "shown"),
    [
        ("P1", list(sharpness((2.0, 2.5, 2.75), HOLDS, noise=1e-6)), "-0.25 [-0.25, -0.25]"),
        ("P2", taus(-0.3, 0.2), "-0.3 [-0.4, -0.2]"),
        ("P6", list(inner(1.0, 2.0, 1.5)), "-0.5 [-0.55, -0.45]"),
        ("P7", gains(3.0), "+3.0 [+2.5, +3.5]"),
    ],
)
def test_values_are_shown_with_sign_and_unit(name, runs, shown):
    found = judge(name, runs)
    text = measured(OURS[name], found)
    assert text == shown
    strip = _strip(OURS[name], found, (-5.0, 5.0))
    assert strip["value"] == f"{text.replace('-', '−')}\u00a0{OURS[name].unit}"
    assert len(strip["margin"]) == (name == "P7")  # a margin of 0 is the line of zero
