"""Paired differences from rows: what is paired, what is averaged, what is left out."""

import pytest

from redistill.pairing import comparisons, why_invalid

TEST = {"arm": "fusion"}
CONTROL = [{"modality": "iframe"}, {"modality": "mv"}]


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
    found = comparisons(records, test=TEST, control=control)
    assert len(found) == 1
    return found[0].pairs


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


def test_other_settings_worlds_and_data_sets_are_never_pooled():
    records = [
        record(complete()),
        record(complete(), epochs=3),
        record(complete(), world="scene_led"),
        record(complete(), dataset="weizmann"),
        record(complete(), profile="quick"),
    ]
    assert len(comparisons(records, test=TEST, control=CONTROL)) == 5
    same = [record(complete(), seed=1, threads=1), record(complete(), seed=2, threads=8)]
    assert len(comparisons(same, test=TEST, control=CONTROL)) == 1


def test_a_world_is_a_matter_of_the_synthetic_set_only():
    found = comparisons([record(complete(), dataset="weizmann")], test=TEST, control=CONTROL)
    assert found[0].world == ""


@pytest.mark.parametrize("missing", range(5))
def test_an_incomplete_fold_is_left_out(missing):
    rows = complete()
    del rows[missing]
    assert comparisons([record(rows)], test=TEST, control=CONTROL) == ()


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
    assert comparisons([broken], test=TEST, control=CONTROL) == ()


def test_other_rows_and_other_types_are_passed_over():
    rows = [*complete(), row("high", arm="fusion"), row(True, arm="fusion"), {"name": "loss"}]
    assert pairs([record(rows)])[0].test == pytest.approx(90)
