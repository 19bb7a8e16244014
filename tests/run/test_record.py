import json

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from redistill import record as recording
from redistill.errors import RunError
from redistill.files import write_json
from redistill.record import note_data, read_rows, record, show
from redistill.rows import Row, full, row_from_json
from redistill.running.run_record import read_record
from redistill.running.status import Ending, running, write_status

mpl.use("agg")


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(recording, "_display", found.append)
    return found


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("REDISTILL_RUN_DIR", str(tmp_path))
    write_status(tmp_path, running())
    return tmp_path


def complete(run):
    write_status(run, running().after(Ending("completed", "")))


def test_a_row_is_shown_typed_and_kept(run, shown):
    record("accuracy", np.float32(0.8125), unit="fraction", n=np.int64(16), arm="kd", seed=3)
    record("loss", 1.25, atol=1e-4)
    record("device", "cpu", free=True)
    assert shown[0]["text/plain"] == "accuracy [arm kd, seed 3]: 81.2 %  (n = 16)"
    assert shown[0][recording.ROW_MIME] == {
        "name": "accuracy",
        "value": 0.8125,
        "unit": "fraction",
        "n": 16,
        "keys": {"arm": "kd", "seed": 3},
    }
    assert (
        full(shown[2][recording.ROW_MIME]) == Row(name="device", value="cpu", free=True).to_json()
    )
    complete(run)
    rows = read_rows(run)
    assert [row.name for row in rows] == ["accuracy", "loss", "device"]
    assert rows[0].keys == {"arm": "kd", "seed": 3}
    assert rows[1] == Row(name="loss", value=1.25, atol=1e-4)


def test_outside_a_run_nothing_is_written(tmp_path, shown, monkeypatch):
    monkeypatch.delenv("REDISTILL_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    record("loss", 1)
    note_data(manifest="x")
    show(Figure(), pd.DataFrame({"a": [1]}), name="f")
    assert len(shown) == 2
    assert list(tmp_path.iterdir()) == []


def test_outside_a_notebook_the_text_is_printed(capsys, monkeypatch):
    monkeypatch.delenv("REDISTILL_RUN_DIR", raising=False)
    record("loss", 2, unit="bits")
    assert capsys.readouterr().out == "loss: 2 bits\n"


@pytest.mark.parametrize(
    ("name", "value", "keys"),
    [
        ("loss", float("nan"), {}),
        ("loss", float("inf"), {}),
        ("loss", None, {}),
        ("loss", [1], {}),
        ("a b", 1, {}),
        ("", 1, {}),
        ("loss", 1, {"arm": 0.5}),
        ("loss", 1, {"arm": None}),
    ],
)
def test_what_is_no_row_is_refused_and_not_kept(run, shown, name, value, keys):
    with pytest.raises(RunError):
        record(name, value, **keys)
    assert shown == []
    assert not (run / "rows.jsonl").exists()


scalars = st.one_of(
    st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)
)


@given(scalars, st.dictionaries(st.text(), st.one_of(st.text(), st.integers())), st.text())
def test_any_row_survives_its_json(value, keys, unit):
    row = Row(name="x", value=value, keys=keys, unit=unit)
    assert row_from_json(json.loads(json.dumps(row.to_json()))) == row
    assert row.text().startswith("x")


def test_a_torn_last_line_is_left_out_only_of_a_run_that_did_not_complete(run, shown):
    record("one", 1)
    record("two", 2)
    rows = run / "rows.jsonl"
    whole = rows.read_bytes()
    for size in range(len(whole) // 2 + 1, len(whole)):
        rows.write_bytes(whole[:size])
        assert [row.name for row in read_rows(run)] == ["one"]
    complete(run)
    with pytest.raises(RunError, match="torn"):
        read_rows(run)
    rows.write_bytes(whole)
    assert len(read_rows(run)) == 2


def test_a_broken_line_in_the_middle_is_always_an_error(run, shown):
    record("one", 1)
    rows = run / "rows.jsonl"
    rows.write_bytes(rows.read_bytes()[:-9] + b"\n" + rows.read_bytes())
    with pytest.raises(RunError, match=r"rows.jsonl, line 1"):
        read_rows(run)


def test_a_figure_is_shown_with_its_table_and_kept(run, shown):
    table = pd.DataFrame({"k": [1, 2], "loss": [0.5, float("nan")], "arm": ["kd", "ce"]})
    show(drawn(), table, name="curves", atol=0.1, caption="Loss by k")
    entry = shown[0][recording.FIGURE_MIME]
    assert entry["columns"] == ["k", "loss", "arm"]
    assert entry["rows"] == [[1, 0.5, "kd"], [2, None, "ce"]]
    assert (entry["name"], entry["atol"], entry["caption"]) == ("curves", 0.1, "Loss by k")
    png = (run / "figures" / "curves.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000
    assert b"Software" not in png
    pd.testing.assert_frame_equal(pd.read_csv(run / "figures" / "curves.csv"), table)
    with pytest.raises(RunError, match="already shows a figure 'curves'"):
        show(drawn(), table, name="curves")
    show(drawn(), table, name="again")
    assert (run / "figures" / "again.png").read_bytes() == png


def test_a_figure_cannot_leave_its_folder_or_hold_an_infinity(run, shown):
    with pytest.raises(Exception, match="cannot name a file"):
        show(drawn(), pd.DataFrame({"a": [1]}), name="../x")
    with pytest.raises(RunError, match="inf"):
        show(drawn(), pd.DataFrame({"a": [float("inf")]}), name="x")
    assert not (run / "figures").exists()


def drawn():
    figure = Figure(figsize=(6, 4))
    figure.subplots().plot(np.sin(np.arange(50)))
    return figure


def test_facts_about_the_data_are_merged(run):
    note_data(manifest="abc", dropped=["a.avi"])
    note_data(sealed_reads=1)
    found = json.loads((run / "data.json").read_text())
    assert found == {"manifest": "abc", "dropped": ["a.avi"], "sealed_reads": 1}


def test_a_missing_or_broken_record_is_an_error(tmp_path):
    with pytest.raises(RunError, match="did not complete"):
        read_record(tmp_path)
    (tmp_path / "record.json").write_text('{"version": 1, "sta')
    with pytest.raises(RunError, match="cannot be read"):
        read_record(tmp_path)
    write_json(tmp_path / "record.json", [1])
    with pytest.raises(RunError, match="not a record"):
        read_record(tmp_path)
