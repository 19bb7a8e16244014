"""The panel of two runs: every control moved, sentence and artists against plain expressions."""

import json
import re

import pytest
from test_explore_diff_pairs import BASE, LEARNING, diff_row, diff_run

from redistill.errors import RunError
from redistill.explore.run_diff import run_diff
from redistill.reference import REFERENCE

A, B = "3-scene_led-d0-s0", "3-scene_led-d0-s5"


@pytest.fixture(scope="module")
def reference_panel():
    return run_diff(REFERENCE, prefer="3_progressive_kd.ipynb")


@pytest.fixture
def diff_panel(reference_panel):
    reference_panel.set(first=A, second=B)
    reference_panel.set(rows="accuracy", part=1, curve="first loss, iframe")
    return reference_panel


def diff_lines(panel):
    """Return the lines drawn by their label, marker or style, as they stand."""
    rows, curve = panel.canvas.figure.axes[:2]
    ends = [line for line in rows.lines if line.get_label() in "AB"]
    runs = [line for line in curve.lines if line.get_label() in "AB"]
    labels = [text.get_text() for text in rows.texts]
    signs = {x.get_marker(): list(x.get_ydata()) for x in rows.lines if "$" in str(x.get_marker())}
    return ends, runs, labels, signs


def oracle(first, second):
    a, b = (
        json.loads((REFERENCE / n / "record.json").read_text())["rows"] for n in (first, second)
    )
    return [(x, y) for x in a for y in b if (x["name"], x["keys"]) == (y["name"], y["keys"])]


def test_the_default_is_two_runs_of_the_notebook_preferred(diff_panel):
    assert (diff_panel.values["first"], diff_panel.values["second"]) == (A, B)
    assert f"A {A} against B {B}" in diff_panel.said
    assert "2 of 30 parameters differ (seed 0 / 5, " in diff_panel.said
    assert "equal: notebook text, source, versions, machine, data." in diff_panel.said


def test_the_sentence_counts_as_the_oracle(diff_panel):
    pairs = oracle(A, B)
    equal = sum(x["value"] == y["value"] for x, y in pairs)
    assert f"Of {len(pairs)} rows that both have, {equal} equal" in diff_panel.said
    x, y = next((x, y) for x, y in pairs if x["value"] != y["value"] and not x["free"])
    assert f"{x['name']} ({x['keys']['modality']} step 0), " in diff_panel.said
    assert f"{x['value']:.6g} / {y['value']:.6g}" in diff_panel.said


def test_pages_show_all_rows_once_each(diff_panel):
    pairs = [(x, y) for x, y in oracle(A, B) if x["name"] == "accuracy"]
    pages, shown = len(diff_panel.controls["part"].options), []
    assert pages == -(-len(pairs) // 12)
    for page in range(1, pages + 1):
        diff_panel.set(part=page)
        ends, _, _, signs = diff_lines(diff_panel)
        shown += list(zip(*(line.get_xdata() for line in ends), strict=True))
        assert sum(map(len, signs.values())) == len(ends[0].get_xdata())
        last = min(12 * page, len(pairs))
        assert diff_panel.controls["part"].label == f"{12 * page - 11} to {last}"
        assert f"rows {12 * page - 11} to {last} of {len(pairs)}" in diff_panel.said
    expected = [(100 * x["value"], 100 * y["value"]) for x, y in pairs]
    assert sorted(shown) == sorted(expected)
    gaps = [abs(x - y) for x, y in shown]
    assert gaps == pytest.approx(sorted(gaps, reverse=True))


def test_rows_of_every_name_can_be_shown(diff_panel):
    for name in diff_panel.controls["rows"].options[1::3]:
        diff_panel.set(rows=name)
        assert f"Shown: {name}, rows 1 to " in diff_panel.said
        low, high = diff_panel.canvas.figure.axes[0].get_xlim()
        for end in diff_lines(diff_panel)[0]:
            assert all(low < x < high for x in end.get_xdata())


def test_curves_are_those_of_the_rows(diff_panel):
    diff_panel.set(curve="first loss, mv")
    found = [(x["value"], y["value"]) for x, y in oracle(A, B)
             if x["name"] == "first_loss" and x["keys"].get("modality") == "mv"]  # fmt: skip
    for line, values in zip(diff_lines(diff_panel)[1], zip(*found, strict=True), strict=True):
        assert tuple(line.get_ydata()) == values
    assert "In first loss, mv they part at step 0 (" in diff_panel.said
    assert "beyond tolerance" in diff_panel.said.rsplit("In first loss", 1)[1]


def test_another_pair_keeps_what_it_can_and_begins_at_page_one(diff_panel):
    diff_panel.set(rows="first_loss", part=3, curve="first loss, mv")
    diff_panel.set(second="3-scene_led-d1-s1")
    assert diff_panel.values["rows"] == "first_loss"
    assert diff_panel.values["curve"] == "first loss, mv"
    assert diff_panel.values["part"] == 1
    diff_panel.set(second="4-scene_led-d0-s0")
    assert "They have no curve in common" in diff_panel.said
    assert "differs: notebook text, source, data" in diff_panel.said
    assert diff_panel.values["curve"] is None


def test_a_run_against_itself_never_parts(diff_panel):
    diff_panel.set(second=A)
    assert "no parameter of 30 differs" in diff_panel.said
    assert re.search(r"Of (\d+) rows that both have, \1 equal, 0 free to differ", diff_panel.said)
    assert "they never part" in diff_panel.said
    assert "first row that differs" not in diff_panel.said


def test_one_run_alone_is_shown_against_itself(tmp_path):
    diff_run(tmp_path / "one", [diff_row()])
    panel = run_diff(tmp_path)
    assert panel.values["first"] == panel.values["second"] == "one"
    assert "1 equal" in panel.said


def test_runs_without_a_row_in_common(tmp_path):
    diff_run(tmp_path / "a", [diff_row("x")])
    diff_run(tmp_path / "b", [diff_row("y"), diff_row("z")])
    panel = run_diff(tmp_path)
    assert "No row in common (A has 1, B has 2)" in panel.said
    figure, table = panel._twin()
    assert len(table) == 0
    assert [t.get_text() for t in figure.axes[0].texts if "common" in t.get_text()]


def test_texts_truth_values_and_learning_curves(tmp_path):
    for name, best, loss in (("a", "mv", 1.5), ("b", "iframe", 1.75)):
        rows = [diff_row("best", best), diff_row("sound", best == "mv")]
        diff_run(tmp_path / name, rows, LEARNING.format(loss=loss))
    panel = run_diff(tmp_path)
    panel.set(rows="best")
    assert "(whole): mv / iframe" in diff_lines(panel)[2]
    assert "furthest apart is (whole), mv / iframe" in panel.said
    panel.set(rows="sound")
    assert [list(end.get_xdata()) for end in diff_lines(panel)[0]] == [[1.0], [0.0]]
    assert "In training loss, mv they part at epoch 3 (1.5 / 1.75)" in panel.said
    panel.set(curve="validation accuracy, mv")
    assert "In validation accuracy, mv they never part" in panel.said


def test_a_damaged_run_is_named_and_the_others_stay_usable(tmp_path):
    for name in ("a", "b", "c"):
        diff_run(tmp_path / name, [diff_row()])
    (tmp_path / "a" / "record.json").write_text(json.dumps(BASE)[:500])
    panel = run_diff(tmp_path)
    assert (panel.values["first"], panel.values["second"]) == ("b", "c")
    good = panel.said
    panel.set(first="a")
    assert panel.said.startswith("These two cannot be compared: ")
    assert "a/record.json cannot be read as JSON" in panel.said
    assert panel.controls["rows"].options == ()
    panel.set(first="b")
    assert panel.said == good
    for name in ("b", "c"):
        (tmp_path / name / "record.json").write_text("{}")
    with pytest.raises(RunError, match=r"a/record\.json"):
        run_diff(tmp_path)


def test_a_run_that_vanishes_is_named(tmp_path):
    folders = [diff_run(tmp_path / name, [diff_row()]) for name in "abc"]
    panel = run_diff(folders)
    (folders[2] / "record.json").unlink()
    panel.set(second="c")
    assert "has no record.json" in panel.said


def test_the_twin_holds_what_the_panel_shows_first(diff_panel):
    _, table = diff_panel._twin()
    assert list(table.columns) == ["what", "row", "a", "b", "state"]
    assert len(table) == 12 + 3
    rows = table[table["what"] == "accuracy"]
    ends = diff_lines(diff_panel)[0]
    assert list(100 * rows["a"]) == pytest.approx(list(ends[0].get_xdata()))
    assert list(table[table["what"] == "first loss, iframe"]["row"]) == [
        "step 0",
        "step 1",
        "step 2",
    ]
