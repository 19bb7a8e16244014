"""The claims of the second paper, judged on rows as notebook 2 writes them."""

import pytest

from redistill.claims import load_claims, verdict
from redistill.methods.spectrum_arms import ARMS, DECIDING

SPREAD = (-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0)  # mean 0, sd 0.70
OURS = {one.id: one for one in load_claims() if one.paper == "spectrum"}
BEFORE = ("kd", "fitnet", "at", "sp", "dkd")


def row(name, value, unit, **keys):
    return {"name": name, "value": value, "unit": unit, "n": None, "keys": keys}


def run(seed, values, *, val=None, parts=None, cost=None, world="motion_led"):
    """A run whose arms have these points, by kind of motion ``parts``, and cost in use."""
    rows = [
        row("accuracy", points / 100, "fraction", arm=arm, split=split, fold=0)
        for split in ("val", "test")
        for arm, points in (values | ((val or {}) if split == "val" else {})).items()
    ]
    for (arm, subset), points in (parts or {}).items():
        unit = "points" if subset == "texture_over_motion" else "fraction"
        value = points if unit == "points" else points / 100
        rows.append(row("part_accuracy", value, unit, arm=arm, subset=subset, fold=0))
    rows += [row("clip_cost", macs, "MAC", arm=arm) for arm, macs in (cost or {}).items()]
    about = {"dataset": "synthetic", "world": world, "seed": seed, "data_seed": 0}
    return {"status": "completed", "run": f"r{seed}", "profile": "standard",
            "parameters": about, "rows": rows}  # fmt: skip


def judge(name, runs):
    (found,) = verdict(OURS[name], runs)
    return found


def test_all_nine_are_there_and_their_arms_exist():
    assert sorted(OURS) == [f"F{number}" for number in range(1, 10)]
    for one in OURS.values():
        arms = {side["arm"] for c in one.contrasts for side in (c.test, *c.control)}
        assert arms <= set(ARMS), one.id
        assert one.id == "F5" or arms <= set(DECIDING), one.id


def test_a_student_trained_as_long_must_be_beaten_too():
    def found(longer):
        values = {"alone": 60.0, "alone_long": longer}
        return judge("F1", [run(s, values | {"fsd": 63 + x}) for s, x in enumerate(SPREAD)])

    assert found(60.0).state == "reproduced"
    other = found(64.0)
    assert (other.state, other.name.split()[-1]) == ("not reproduced", "alone_long")


@pytest.mark.parametrize(("name", "test", "controls"), [
    ("F6", "collab", ("fixed", "fsd", "pdd")), ("F7", "collab", BEFORE),
    ("F8", "fsd", ("fitnet", "at")),
])  # fmt: skip
def test_the_rival_is_the_best_on_validation(name, test, controls):
    best = controls[-1]
    for points, wanted in ((60.0, "reproduced"), (64.0, "not reproduced")):
        values = dict.fromkeys(controls, 50.0) | {best: points}
        runs = [run(s, values | {test: 63 + x}, val={best: 90.0}) for s, x in enumerate(SPREAD)]
        assert judge(name, runs).state == wanted


def test_oscillations_decide_the_temporal_claim():
    def parts(x):
        return {("ac", "oscillating"): 63 + x, ("dc", "oscillating"): 60.0,
                ("ac", "direction"): 10.0, ("dc", "direction"): 90.0}  # fmt: skip

    found = judge("F3", [run(s, {}, parts=parts(x)) for s, x in enumerate(SPREAD)])
    assert found.state == "reproduced"
    assert found.interval.mean == pytest.approx(3)


@pytest.mark.parametrize(("lost", "wanted"), [(0.0, "reproduced"), (4.0, "not reproduced")])
def test_phase_is_dropped_at_no_cost_where_both_are_equal(lost, wanted):
    def parts(x):
        return {("ac", "direction"): 60 + x / 2 - lost, ("ac_mse", "direction"): 60.0}

    assert judge("F4", [run(s, {}, parts=parts(x)) for s, x in enumerate(SPREAD)]).state == wanted


def test_the_sham_must_not_help_as_much():
    def parts(x, sham):
        rows = {"pdd": 5 + x, "alone": 0.0, "pdd_sham": sham}
        return {(arm, "texture_over_motion"): points for arm, points in rows.items()}

    for sham, wanted in ((0.0, "reproduced"), (6.0, "not reproduced")):
        runs = [run(s, {}, parts=parts(x, sham)) for s, x in enumerate(SPREAD)]
        assert judge("F5", runs).state == wanted


@pytest.mark.parametrize(("more", "wanted"), [(0, "reproduced"), (1000, "not reproduced")])
def test_the_student_must_cost_what_the_plain_one_does(more, wanted):
    runs = [run(s, {}, cost={"alone": 10_000, "collab": 10_000 + more}) for s in range(10)]
    assert judge("F9", runs).state == wanted
