"""The claims of the third paper, judged on rows as notebook 3 writes them."""

import pytest

from redistill.claims import load_claims, verdict

SPREAD = (-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0)  # mean 0, sd 0.70


def number(name, value, seed, world="scene_led", **keys):
    row = {"name": name, "value": value, "unit": "fraction", "n": None, "keys": keys}
    about = {"dataset": "synthetic", "world": world, "seed": seed, "data_seed": 0}
    return {"status": "completed", "run": f"r{seed}", "profile": "standard",
            "parameters": about, "rows": [row]}  # fmt: skip


def named(name):
    return next(one for one in load_claims() if one.id == name)


def accuracies(seed, **values):
    """Rows as notebook 3 writes them, in points, with a split "val" that says the same."""
    wise = ("wise", "unit", "plain", "plain_fused", "fusion_211")
    rows = []
    for arm, points in values.items():
        keys = {"arm": arm} | (
            {"modality": "fused", "exit": "equal"} if arm in wise
            else {"modality": "all", "exit": "mean"}
        )  # fmt: skip
        rows += [
            {"name": "accuracy", "value": points / 100, "unit": "fraction", "n": 200,
             "keys": keys | {"split": split}}
            for split in ("val", "test")
        ]  # fmt: skip
    return number("other", 0.0, seed) | {"rows": rows}


def test_every_claim_with_rows_can_be_read():
    ours = [one for one in load_claims() if one.rows and one.paper in ("progressive", "ground")]
    assert {one.id for one in ours} == {f"P{i}" for i in range(1, 16)} | {"G1", "G2", "G3"}
    for one in ours:
        assert one.contrasts
        assert all(contrast.test is not None for contrast in one.contrasts)
        assert one.testable_by


def test_the_ledger_judges_a_number_without_a_control():
    cheap = [number("wise_weight_share", 0.0001 * (1 + seed % 2), seed) for seed in range(10)]
    (found,) = verdict(named("P10"), cheap)
    assert (found.state, found.interval.mean) == ("reproduced", pytest.approx(0.00015))
    dear = [number("wise_weight_share", 0.02 + 0.0001 * seed, seed) for seed in range(10)]
    assert verdict(named("P10"), dear)[0].state == "not reproduced"
    slope = [number("wise_slope", -3 + x, seed) for seed, x in enumerate(SPREAD)]
    assert verdict(named("P12"), slope)[0].state == "reproduced"
    flat = [number("wise_slope", x, seed) for seed, x in enumerate(SPREAD)]
    assert verdict(named("P12"), flat)[0].state == "inconclusive"


@pytest.mark.parametrize(
    ("fused", "state"), [(76.0, "reproduced"), (81.5, "not reproduced"), (79.5, "inconclusive")]
)
def test_learned_weights_must_beat_each_control_not_only_the_best_by_validation(fused, state):
    runs = [
        accuracies(seed, wise=80 + 2 * x, unit=70, plain=60, plain_fused=fused, fusion_211=75)
        for seed, x in enumerate(SPREAD)
    ]
    (found,) = verdict(named("P8"), runs)
    assert found.state == state
    assert found.name == "wise fused equal against plain_fused fused equal"
    assert found.differences == pytest.approx([80 + 2 * x - fused for x in SPREAD])


def test_the_order_of_teachers_is_compared_with_the_best_other_order():
    runs = [
        accuracies(seed, pkd=62 + x, anticurriculum=60, summary=55, kd_random=58)
        for seed, x in enumerate(SPREAD)
    ]
    (found,) = verdict(named("P4"), runs)
    assert (found.state, found.interval.mean) == ("reproduced", pytest.approx(2))


@pytest.mark.parametrize(
    ("right", "state"),
    [(10, "reproduced"), (9, "reproduced"), (8, "inconclusive"), (6, "inconclusive"),
     (5, "not reproduced"), (0, "not reproduced")],
)  # fmt: skip
def test_gains_are_robust_if_both_have_the_sign_claimed_in_most_runs(right, state):
    runs = [
        accuracies(seed, pkd=61, ce=60, wise=70 + (seed < right), plain_fused=70.5)
        for seed in range(10)
    ]
    (found,) = verdict(named("P15"), runs)
    assert found.state == state
    assert found.interval.mean == pytest.approx(right / 10)
    assert (found.runs_needed is not None) == (state == "inconclusive")
