"""Pairs of runs against a slow oracle of dicts and loops; damaged and odd records."""

import json

import pytest

from redistill.compare import differs
from redistill.errors import RunError
from redistill.explore.run_pair import Curve, extract, pair, run_folders
from redistill.reference import REFERENCE

BASE = json.loads((REFERENCE / "3-scene_led-d0-s0" / "record.json").read_text())


def diff_row(name="accuracy", value=0.5, **rest):
    about = {"unit": "", "n": None, "atol": None, "rtol": None, "free": False, "keys": {}}
    return {"name": name, "value": value} | about | rest


def diff_run(folder, rows, learning=None, **fields):
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(BASE | {"rows": rows} | fields))
    if learning is not None:
        (folder / "figures").mkdir()
        (folder / "figures" / "learning.csv").write_text(learning)
    return folder


def paired(a, b):
    return pair(extract("A", a), extract("B", b))


def slow_states(a, b):
    """Count states by two plain loops over the rows of two records."""
    found, used = {"equal": 0, "free": 0, "within": 0, "beyond": 0}, set()
    for one in a["rows"]:
        for number, other in enumerate(b["rows"]):
            same = (one["name"], one["keys"]) == (other["name"], other["keys"])
            if number in used or not same:
                continue
            used.add(number)
            x, y = one["value"], other["value"]
            if type(x) in (int, float) and type(y) in (int, float):
                allowed = (one["atol"] or 0) + (one["rtol"] or 0) * abs(x)
                near = x == y or abs(x - y) <= allowed
            else:
                near = x == y
            if (one["unit"], one["n"]) != (other["unit"], other["n"]):
                found["beyond"] += 1
            elif x == y:
                found["equal"] += 1
            elif one["free"]:
                found["free"] += 1
            else:
                found["within" if near else "beyond"] += 1
            break
    return found, (len(a["rows"]) - len(used), len(b["rows"]) - len(used))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("3-scene_led-d0-s0", "3-scene_led-d0-s5"),
        ("3-scene_led-d0-s5", "3-scene_led-d0-s0"),
        ("2-motion_led-d0-s0", "2-motion_led-d4-s1"),
        ("4-scene_led-d0-s0", "4-weizmann-f0-s0"),
        ("1-scene_led-d0-s0", "3-scene_led-d1-s1"),
        ("1-scene_led-d1-s1", "1-scene_led-d1-s1"),
    ],
)
def test_reference_runs_as_two_loops_have_them(one, two):
    a, b = (json.loads((REFERENCE / n / "record.json").read_text()) for n in (one, two))
    found = paired(REFERENCE / one, REFERENCE / two)
    assert (dict(found.counts), found.alone) == slow_states(a, b)
    off = {k for k in {*a["parameters"], *b["parameters"]}
           if a["parameters"].get(k, "–") != b["parameters"].get(k, "–")}  # fmt: skip
    assert {name for name, _, _ in found.parameters} == off
    assert found.settings == len({*a["parameters"], *b["parameters"]})
    assert found.same["source"] == (a["library_hash"] == b["library_hash"])
    assert found.same["data"] == (a["data"] == b["data"])
    if one == two:
        assert found.parameters == ()
        assert all(curve.parts is None for curve in found.curves.values())


def test_first_losses_part_where_a_loop_finds_it():
    one, two = REFERENCE / "2-motion_led-d0-s0", REFERENCE / "2-motion_led-d0-s1"
    a, b = (json.loads((f / "record.json").read_text())["rows"] for f in (one, two))
    found = paired(one, two).curves
    arms = {r["keys"]["arm"] for r in a if r["name"] == "first_loss"}
    assert {f"first loss, {arm}" for arm in arms} == set(found)
    for arm in arms:
        first = None
        for step in range(3):
            about = {"arm": arm, "step": step}
            at = [r for r in [*a, *b] if r["name"] == "first_loss" and r["keys"] == about]
            values = [r["value"] for r in at]
            assert [
                found[f"first loss, {arm}"].a[step],
                found[f"first loss, {arm}"].b[step],
            ] == values
            if first is None and values[0] != values[1]:
                first = step
        assert found[f"first loss, {arm}"].parts == first


VALUES = [(1.0, 1.25), (1.0, 1.2500001), (0, -0.25), (2, 2.0), (True, 1), ("x", "y"),
          (1e300, -1e300), (0.0, -0.0)]  # fmt: skip


@pytest.mark.parametrize("atol", [None, 0.0, 0.25, 1e-9])
@pytest.mark.parametrize("rtol", [None, 1e-6, 0.5])
@pytest.mark.parametrize(("a", "b"), VALUES)
def test_tolerance_is_that_of_compare(tmp_path, a, b, atol, rtol):
    ours = diff_row(value=a, atol=atol, rtol=rtol)
    found = paired(diff_run(tmp_path / "a", [ours]), diff_run(tmp_path / "b", [diff_row(value=b)]))
    (row,) = found.rows
    if differs(a, b, ours):
        assert row.state == "beyond"
    else:
        assert row.state == ("equal" if a == b else "within")


def test_the_tolerance_of_a_counts_and_free_is_told_apart(tmp_path):
    loose, strict = diff_row(value=1.0, atol=1.0), diff_row(value=1.5)
    a, b = diff_run(tmp_path / "a", [loose]), diff_run(tmp_path / "b", [strict])
    assert [paired(a, b).rows[0].state, paired(b, a).rows[0].state] == ["within", "beyond"]
    times = [diff_row(value=v, free=True) for v in (1.0, 9.0)]
    c, d = (diff_run(tmp_path / str(i), [row]) for i, row in enumerate(times))
    assert paired(c, d).rows[0].state == "free"
    other_n = diff_run(tmp_path / "n", [diff_row(value=1.0, atol=1.0, n=7)])
    assert paired(a, other_n).rows[0].state == "beyond"


def test_rows_of_the_same_name_and_keys_are_paired_in_order(tmp_path):
    a = diff_run(tmp_path / "a", [diff_row(value=v) for v in (1, 2, 3)])
    b = diff_run(tmp_path / "b", [diff_row(value=v) for v in (1, 5)])
    found = paired(a, b)
    assert [(r.a, r.b, r.state) for r in found.rows] == [(1, 1, "equal"), (2, 5, "beyond")]
    assert found.alone == (1, 0)


def test_keys_one_and_text_one_are_not_one_row(tmp_path):
    a = diff_run(tmp_path / "a", [diff_row(keys={"fold": 1})])
    b = diff_run(tmp_path / "b", [diff_row(keys={"fold": "1"})])
    assert (paired(a, b).rows, paired(a, b).alone) == ((), (1, 1))


def test_rows_are_shown_furthest_apart_first(tmp_path):
    values = [(0.1, 0.1), (0.1, 0.9), (0.5, 0.4), (0.2, 0.2)]
    sides = [
        [diff_row(value=v[side], keys={"exit": e}) for e, v in enumerate(values)] for side in (0, 1)
    ]
    a, b = (diff_run(tmp_path / name, rows) for name, rows in zip("ab", sides, strict=True))
    assert [row.label for row in paired(a, b).of("accuracy")] == [
        "exit 1", "exit 2", "exit 0", "exit 3",
    ]  # fmt: skip


LEARNING = "modality,epoch,loss,val\nmv,1,2.5,0.1\nmv,3,{loss},0.2\niframe,1,2.25,0.125\n"


def test_learning_curves_of_the_folder(tmp_path):
    a = diff_run(tmp_path / "a", [diff_row()], LEARNING.format(loss=1.5))
    b = diff_run(tmp_path / "b", [diff_row()], LEARNING.format(loss=1.75))
    found = paired(a, b).curves
    assert set(found) == {
        "training loss, mv", "training loss, iframe", "validation accuracy, mv",
        "validation accuracy, iframe",
    }  # fmt: skip
    loss = found["training loss, mv"]
    assert (dict(loss.a), dict(loss.b), loss.parts) == ({1: 2.5, 3: 1.5}, {1: 2.5, 3: 1.75}, 3)
    assert found["validation accuracy, mv"].parts is None
    assert paired(a, diff_run(tmp_path / "c", [diff_row()])).curves == {}


def test_a_step_that_one_run_lacks_parts_nothing():
    assert Curve("l", "step", {0: 1.0, 1: 2.0}, {0: 1.0, 2: 2.0}, {}).parts is None
    assert Curve("l", "step", {0: 1.0, 2: 2.0}, {1: 1.0, 2: 2.5}, {}).parts == 2


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: f.unlink(), "did not complete"),
        (lambda f: f.write_text(f.read_text()[:900]), "cannot be read as JSON"),
        (lambda f: f.write_text("{}"), "lacks 'version'"),
        (lambda f: f.write_text(json.dumps(BASE | {"seconds": "long"})), "seconds = 'long'"),
        (lambda f: f.write_text(json.dumps(BASE | {"rows": [{"name": "x"}]})), "not a row"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, damage, named):
    run = diff_run(tmp_path / "bad", [diff_row()])
    damage(run / "record.json")
    with pytest.raises(RunError, match=named) as told:
        extract("bad", run)
    assert "bad" in str(told.value) or named == "not a row"


def test_a_broken_table_of_curves_is_named(tmp_path):
    run = diff_run(tmp_path / "bad", [diff_row()], 'a,b\n"1,2\n')
    with pytest.raises(RunError, match=r"learning\.csv cannot be read"):
        extract("bad", run)


def test_folders_are_told_apart(tmp_path):
    for where in ("x/one", "y/one", "y/two"):
        diff_run(tmp_path / where, [diff_row()])
    (tmp_path / "y" / "running").mkdir()
    assert list(run_folders(tmp_path / "y")) == ["one", "two"]
    several = [tmp_path / "x" / "one", tmp_path / "y" / "one", tmp_path / "y" / "two"]
    assert list(run_folders(several)) == ["x/one", "y/one", "two"]
    with pytest.raises(RunError, match=r"no run with a record\.json in .*x/one"):
        run_folders(tmp_path / "x" / "one")
    assert len(run_folders(REFERENCE)) == len(list(REFERENCE.glob("*/record.json")))
