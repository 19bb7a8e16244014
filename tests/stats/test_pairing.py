"""Paired differences from rows: what is paired, what is averaged, what is left out."""

import pytest

from redistill.pairing import Contrast, comparisons, why_invalid

TEST = {"arm": "fusion"}
CONTROL = ({"modality": "iframe"}, {"modality": "mv"})
BEST = [Contrast(TEST, CONTROL)]


def row(value, **keys):
    keys = {"split": "test", **keys}
    return {"name": "accuracy", "value": value, "unit": "fraction", "n": 100, "keys": keys}


def record(rows, *, seed=0, data_seed=0, profile="standard", **parameters):
    given = {"dataset": "synthetic", "world": "crossed", "seed": seed, "data_seed": data_seed}
    about = {"parameters": given | {"profile": profile} | parameters, "profile": profile}
    return {"status": "completed", "run": f"r{seed}", "rows": rows, **about}


def complete(fused=0.9, iframe=0.8, mv=0.6, val=(0.8, 0.6), **keys):
    return [
        row(fused, arm="fusion", **keys),
        row(iframe, arm="backbone", modality="iframe", **keys),
        row(mv, arm="backbone", modality="mv", **keys),
        row(val[0], arm="backbone", modality="iframe", **{**keys, "split": "val"}),
        row(val[1], arm="backbone", modality="mv", **{**keys, "split": "val"}),
    ]


def pairs(records, control=CONTROL):
    found = comparisons(records, [Contrast(TEST, control)])
    assert len(found) == 1
    (one,) = found[0]
    return one.pairs


def test_the_control_is_chosen_on_validation_not_on_test():
    one = pairs([record(complete(iframe=0.8, mv=0.85))])[0]
    assert (one.test, one.control) == pytest.approx((90, 80))
    other = pairs([record(complete(iframe=0.8, mv=0.85, val=(0.5, 0.6)))])[0]
    assert other.difference == pytest.approx(5)


def test_folds_are_averaged_inside_a_seed():
    rows = complete(0.9, 0.8, fold=0) + complete(0.5, 0.6, fold=1)
    found = pairs([record(rows)])
    assert len(found) == 1
    assert (found[0].difference, found[0].folds) == (pytest.approx(0), 2)


def test_a_pooled_row_stands_for_its_folds():
    rows = complete(0.9, 0.8, fold=0) + complete(0.7, 0.6, fold=1)
    found = pairs([record(rows + complete(0.85, 0.8, fold="pooled"))])
    assert found[0].difference == pytest.approx(5)


def test_folds_of_one_seed_may_come_from_several_runs():
    found = pairs([record(complete(0.9, 0.8, fold=0)), record(complete(0.7, 0.8, fold=1))])
    assert [one.difference for one in found] == [pytest.approx(0)]


def test_every_seed_and_data_seed_is_a_run_and_a_repeated_run_is_none():
    records = [record(complete(), seed=s, data_seed=d) for s in (2, 10, 1) for d in (0, 1)]
    found = pairs(records + records[:2])
    assert [(one.data_seed, one.seed) for one in found] == [
        ("0", "1"), ("0", "2"), ("0", "10"), ("1", "1"), ("1", "2"), ("1", "10"),
    ]  # fmt: skip


def test_what_was_tried_beside_is_no_other_setting():
    """Passes, methods and series of their own train other networks and change no other number."""
    runs = [
        record(complete(), seed=0, released=["long"], team=False, also=[], sweeps=[], width=16),
        record(complete(), seed=1, released=["long", "drift"], team=True, width=16,
               also=["staged_nofd"], sweeps=["gaps"]),
    ]  # fmt: skip
    assert len(pairs(runs)) == 2
    assert len(comparisons([*runs, record(complete(), arms=["kd"])], BEST)) == 2


def test_other_settings_worlds_and_data_sets_are_never_pooled():
    records = [
        record(complete()),
        record(complete(), epochs=3),
        record(complete(), world="scene_led"),
        record(complete(), dataset="weizmann"),
        record(complete(), profile="quick"),
    ]
    assert len(comparisons(records, BEST)) == 5
    same = [record(complete(), seed=1, threads=1), record(complete(), seed=2, threads=8)]
    assert len(comparisons(same, BEST)) == 1


def test_a_world_is_a_matter_of_the_synthetic_set_only():
    ((found,),) = comparisons([record(complete(), dataset="weizmann")], BEST)
    assert found.world == ""


@pytest.mark.parametrize("missing", range(5))
def test_an_incomplete_fold_is_left_out(missing):
    rows = complete()
    del rows[missing]
    assert comparisons([record(rows)], BEST) == ()


def test_a_single_control_needs_no_validation():
    rows = [one for one in complete() if one["keys"]["split"] == "test"]
    assert pairs([record(rows)], control=CONTROL[1:])[0].difference == pytest.approx(30)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"status": "killed"}, "status"), ({"rows": None}, "rows"), ({"parameters": 3}, "parameters")],
)
def test_an_invalid_record_counts_for_nothing(change, why):
    broken = record(complete()) | change
    assert why in why_invalid(broken)
    assert comparisons([broken], BEST) == ()


def test_other_rows_and_other_types_are_passed_over():
    rows = [*complete(), row("high", arm="fusion"), row(True, arm="fusion"), {"name": "loss"}]
    assert pairs([record(rows)])[0].test == pytest.approx(90)


EACH = [Contrast(TEST, (one,)) for one in CONTROL]


def test_several_contrasts_hold_the_same_runs_and_need_no_validation():
    rows = [one for one in complete() if one["keys"]["split"] == "test"]
    (found,) = comparisons([record(rows), record(rows[:2], seed=1)], EACH)
    assert [one.differences for one in found] == [[pytest.approx(10)], [pytest.approx(30)]]
    assert [[p.seed for p in one.pairs] for one in found] == [["0"], ["0"]]  # run 1 lacks a control
    assert found[1].name == "fusion against mv"


def test_several_contrasts_hold_the_same_folds():
    rows = complete(0.9, 0.8, fold=0) + complete(0.5, 0.6, fold=1)[:2]
    ((iframe, mv),) = comparisons([record(rows)], EACH)
    assert (iframe.pairs[0].folds, iframe.differences) == (1, [pytest.approx(10)])
    assert mv.pairs[0].folds == 1


def number(value, **keys):
    return {"name": "share", "value": value, "unit": "fraction", "n": None, "keys": keys}


@pytest.mark.parametrize(
    ("points", "against", "wanted"), [(True, 0.0, 0.4), (False, 0.0, 0.004), (False, 0.01, -0.006)]
)
def test_a_number_by_itself_is_compared_with_a_number(points, against, wanted):
    rows = [*complete(), number(0.004)]
    contrasts = [Contrast({}, against=against, endpoint="share")]
    ((one,),) = comparisons([record(rows)], contrasts, points=points)
    assert one.differences == [pytest.approx(wanted)]
    assert one.pairs[0].runs == ("r0",)


def test_an_arm_that_matches_rows_that_disagree_gives_nothing():
    twice = [number(0.004, backbone="a"), number(0.005, backbone="b")]
    share = Contrast({}, endpoint="share")
    assert comparisons([record(twice)], [share]) == ()
    of_b = Contrast({"backbone": "b"}, endpoint="share")
    ((one,),) = comparisons([record(twice)], [of_b])
    assert one.differences == [pytest.approx(0.5)]
    assert len(comparisons([record([number(0.004)] * 2)], [share])) == 1


def test_contrasts_may_read_rows_of_different_names_and_have_a_margin_of_their_own():
    share = Contrast({}, against=0.1, endpoint="share", margin=0.5)
    both = [record([*complete(), number(0.004)]), record(complete(), seed=1)]
    ((best, other),) = comparisons(both, [*BEST, share])
    assert [one.seed for one in other.pairs] == [one.seed for one in best.pairs] == ["0"]
    assert best.differences == [pytest.approx(10)]  # not of the row named "share"
    assert other.differences == [pytest.approx(0.3)]
    assert (best.margin, other.margin) == (None, 0.5)
    assert (best.name, other.name) == ("fusion against iframe or mv", "share against 0.1")
