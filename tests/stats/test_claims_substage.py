"""The claims of the first paper, judged on rows as notebook 1 writes them."""

import itertools

import numpy as np
import pytest

from redistill.claims import ledger, load_claims, verdict
from redistill.methods.recipes import KINDS, OTHERS, SINGLES, VARIANTS
from redistill.pairing import comparisons

SPREAD = (-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0)  # mean 0, sd 0.70
OURS = {one.id: one for one in load_claims() if one.paper == "substage"}
BEFORE = ("kd", "fitnet", "at", "sp", "rkd", "dkd")
BRANCHES = ("staged_res", "staged_fea", "staged_rel")
PAIRS = ("staged_res_fea", "staged_res_rel", "staged_fea_rel")


def row(name, value, unit, **keys):
    return {"name": name, "value": value, "unit": unit, "n": None, "keys": keys}


def run(seed, rows, world="scene_led", **parameters):
    about = {"dataset": "synthetic", "world": world, "seed": seed, "data_seed": 0}
    return {"status": "completed", "run": f"r{seed}", "profile": "standard",
            "parameters": about | parameters, "rows": rows}  # fmt: skip


def accuracies(seed, values, val=None, **parameters):
    """A run whose arms have these points on test clips, and on validation the same or ``val``."""
    rows = [
        row("accuracy", points / 100, "fraction", arm=arm, split=split, fold=0)
        for split in ("val", "test")
        for arm, points in (values | ((val or {}) if split == "val" else {})).items()
    ]
    return run(seed, rows, **parameters)


def judge(name, runs):
    (found,) = verdict(OURS[name], runs)
    return found


def written():
    """Values of the key ``arm`` that notebook 1 can write."""
    names = {*SINGLES, *OTHERS}
    for variant in VARIANTS:
        names |= {variant, f"{variant}_single", f"{variant}_ens"}
    parts = [some for size in (1, 2) for some in itertools.combinations(KINDS, size)]
    return names | {"_".join(["staged", *some]) for some in parts}


def test_every_claim_of_the_paper_has_rows_of_arms_that_are_written():
    known = written()
    for one in OURS.values():
        assert one.testable_by == ("1_substage_kd",)
        arms = {
            side["arm"] for c in one.contrasts for side in (c.test, *c.control) if "arm" in side
        }
        assert arms <= known, one.id
    assert sorted(OURS, key=lambda name: int(name[1:])) == [f"S{i}" for i in range(1, 12)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("S1", [("staged_single", "rkd")]),
        ("S2", [("staged_single", "joint")]),
        ("S3", [("staged_single", "kd3_equal_single"), ("staged_ens", "kd3_equal_ens")]),
        ("S4", [("staged_ens", "staged_fea"), *(("staged_ens", pair) for pair in PAIRS)]),
        ("S5", [("staged_single", f"staged_{x}_single") for x in ("nocor", "mismatch")]),
        ("S8", [("refined", "raw")]),
        ("S9", [("staged_single", "staged_nofd_single"),
                ("staged_fd_single", "staged_branches_single")]),
    ],
)  # fmt: skip
def test_rows_of_accuracy_find_their_arms(name, wanted):
    """Every arm has another accuracy; rkd and staged_fea are the best on validation alone."""
    values = {arm: 10 + 0.5 * i for i, arm in enumerate(sorted(written()))}
    record = accuracies(0, values, val={"rkd": 99.0, "staged_fea": 98.0})
    (found,) = comparisons([record], OURS[name].contrasts)
    sides = [(one.pairs[0].test, one.pairs[0].control) for one in found]
    assert sides == [(pytest.approx(values[a]), pytest.approx(values[b])) for a, b in wanted]


def staged(seed, x, **change):
    """A run in which the staged method is 3 points ahead of everything, but for ``change``."""
    others = (*BEFORE, "joint", "kd3_equal_single", "kd3_equal_ens", *BRANCHES, *PAIRS)
    others += ("staged_nocor_single", "staged_mismatch_single", "staged_nofd_single")
    values = dict.fromkeys(others, 60.0)
    values |= {"staged_single": 63 + x, "staged_ens": 63 + x}
    values |= {"staged_fd_single": 63 + x, "staged_branches_single": 60.0}
    return accuracies(seed, values | change)


@pytest.mark.parametrize(
    ("name", "rivals"),
    [
        ("S3", ("kd3_equal_single", "kd3_equal_ens")),
        ("S4", PAIRS),
        ("S5", ("staged_nocor_single", "staged_mismatch_single")),
    ],
)
def test_all_contrasts_of_a_claim_must_hold(name, rivals):
    runs = [staged(seed, x) for seed, x in enumerate(SPREAD)]
    assert judge(name, runs).state == "reproduced"
    for rival in rivals:
        found = judge(name, [staged(s, x, **{rival: 64.0}) for s, x in enumerate(SPREAD)])
        assert (found.state, found.name.split()[-1]) == ("not reproduced", rival)
        assert found.interval.mean == pytest.approx(-1)


def test_the_best_branch_is_one_of_three_chosen_on_validation():
    runs = [staged(seed, x, staged_rel=64.0) for seed, x in enumerate(SPREAD)]
    found = judge("S4", runs)
    assert found.state == "not reproduced"
    assert found.name == "staged_ens against staged_res or staged_fea or staged_rel"


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "reproduced"),
        ({"staged_nofd_single": 64.0}, "reproduced"),
        ({"staged_branches_single": 64.0}, "reproduced"),
        ({"staged_nofd_single": 64.0, "staged_branches_single": 64.0}, "not reproduced"),
        ({"staged_nofd_single": 62.45, "staged_branches_single": 64.0}, "inconclusive"),
    ],
)
def test_one_use_of_the_distribution_is_enough_but_for_holm(change, state):
    found = judge("S9", [staged(seed, x, **change) for seed, x in enumerate(SPREAD)])
    assert found.state == state
    assert state != "inconclusive" or "by Holm" in found.why


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "reproduced"),
        ({"joint": 64.0}, "not reproduced"),
        ({"kd3_equal_ens": 64.0}, "not reproduced"),
    ],
)
def test_the_headline_needs_the_staging_and_more_than_an_ensemble(change, state):
    runs = [staged(seed, x, **change) for seed, x in enumerate(SPREAD)]
    found = ledger(tuple(OURS.values()), runs)["S1"]
    assert [one.state for one in found] == [state, "not testable here"]


def gains(seed, x, wide=3.0, slope=1.0, narrow=0.0):
    return run(seed, [
        row("assistant_gain", wide + x, "points", gap="wide"),
        row("assistant_gain", 7.0, "points", gap="middle"),
        row("assistant_gain", narrow + x / 2, "points", gap="narrow"),
        row("gap_slope", slope + x / 4, "points per doubling"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("change", "state", "weakest"),
    [
        ({}, "reproduced", "assistant_gain narrow against -1"),
        ({"wide": 0.0}, "not reproduced", "assistant_gain wide against 0"),
        ({"slope": -1.0}, "not reproduced", "gap_slope against 0"),
        ({"slope": 0.0}, "inconclusive", "gap_slope against 0"),
        ({"narrow": -2.0}, "not reproduced", "assistant_gain narrow against -1"),
        ({"narrow": -1.1}, "inconclusive", "assistant_gain narrow against -1"),
    ],
)
def test_assistants_must_gain_more_the_wider_the_gap_and_do_no_harm(change, state, weakest):
    found = judge("S6", [gains(seed, x, **change) for seed, x in enumerate(SPREAD)])
    if state == "reproduced":
        assert found.state == state
    else:
        assert (found.state, found.name) == (state, weakest)


@pytest.mark.parametrize(
    ("final", "state"), [(73.0, "reproduced"), (70.0, "not reproduced"), (69.0, "not reproduced")]
)
def test_labels_are_judged_for_each_weak_mode_by_itself(final, state):
    def labels(seed, x, mode):
        return run(seed, [
            row("label_accuracy", 0.70, "fraction", labels="initial", fold=0),
            row("label_accuracy", (final + x / 2) / 100, "fraction", labels="final", fold=0),
        ], weak_mode=mode)  # fmt: skip

    modes = ("few", "noisy")
    runs = [labels(seed, x, mode) for mode in modes for seed, x in enumerate(SPREAD)]
    found = verdict(OURS["S7"], runs)
    assert [one.state for one in found] == [state] * 2
    assert found[0].interval.mean == pytest.approx(final - 70)


@pytest.mark.parametrize(
    ("trusted", "state"), [(50.0, "reproduced"), (64.0, "not reproduced"), (62.5, "inconclusive")]
)
def test_label_areas_are_compared_with_kd_and_with_trusted_labels_alone(trusted, state):
    runs = [
        run(seed, [
            row("label_area", value, "points", arm=arm)
            for arm, value in (("staged_single", 63 + 2 * x), ("kd", 60.0), ("trusted", trusted))
        ])
        for seed, x in enumerate(SPREAD)
    ]  # fmt: skip
    assert judge("S10", runs).state == state


def crossed(seed, strength):
    """One run of five methods on four pairs; the last method gains on the last pair alone."""
    rng = np.random.default_rng(seed)
    methods, pairs = (
        ("kd", "fitnet", "sp", "joint", "staged_single"),
        ("t1s1", "t1s2", "t2s1", "t2s2"),
    )
    rows = []
    for (i, arm), (j, pair) in itertools.product(enumerate(methods), enumerate(pairs)):
        value = 60 + i + 4 * j + rng.normal() + strength * (i == 4) * (j == 3)
        rows.append(row("pair_accuracy", value / 100, "fraction", arm=arm, pair=pair, split="test"))
    return run(seed, rows)


def test_methods_and_pairs_interact_by_permutation_over_runs():
    strong = judge("S11", [crossed(seed, 8.0) for seed in range(10)])
    assert (strong.state, len(strong.pairs)) == ("reproduced", 10)
    assert strong.p == 1 / 10_000
    assert 0 < strong.interval.low < strong.interval.mean < 1
    none = judge("S11", [crossed(seed, 0.0) for seed in range(10)])
    assert none.state == "inconclusive"
    assert judge("S11", [crossed(seed, 8.0) for seed in range(9)]).runs_needed == 1


def test_a_run_that_lacks_a_cell_is_no_run_of_the_grid():
    runs = [crossed(seed, 8.0) for seed in range(10)]
    runs[3]["rows"].pop()
    assert len(judge("S11", runs).pairs) == 9


def test_rows_of_series_never_stand_for_the_methods_themselves():
    """A series repeats arms on other labels and pairs: its rows have names of their own."""
    names = {c.endpoint for name in ("S6", "S7", "S10", "S11") for c in OURS[name].contrasts}
    assert names == {
        "assistant_gain", "gap_slope", "label_accuracy", "label_area", "pair_accuracy",
    }  # fmt: skip
    runs = [staged(seed, x) for seed, x in enumerate(SPREAD)]
    for one in runs:
        one["rows"].append(row("label_area", 1.0, "points", arm="kd"))
    assert judge("S1", runs).interval.mean == pytest.approx(3)
