"""The landscape pair of a finished run: it shows the numbers that the run kept."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawn_landscapes import MODALITIES, RANDOM, SHARP, STEPS, drawn_ends, drawn_lines, drawn_planes

from redistill import landscape_figures
from redistill.errors import RunError
from redistill.explore import landscape_open
from redistill.figures import NAMES
from redistill.flatness_tables import log10
from redistill.rows import Row, append_row
from redistill.running.status import Status, write_status


@pytest.fixture
def run(tmp_path):
    """A folder as notebook 4 leaves it, by the functions that the notebook calls."""
    matplotlib.use("agg")
    (tmp_path / "figures").mkdir()
    times = {"started": "2026-01-01T00:00:00+00:00", "heartbeat": "2026-01-01T00:00:00+00:00"}
    status = Status(state="completed", pid=1, pid_started=0.0, host="here", **times)
    write_status(tmp_path, status)
    third = {NAMES[m]: each for (m, number), each in drawn_lines().items() if number == 3}
    tables = {"surfaces": landscape_figures.square(drawn_planes()[RANDOM])}
    tables["eigen_surfaces"] = landscape_figures.square(drawn_planes()[SHARP])
    tables["lines"] = landscape_figures.lines_table(third)
    columns = {"value": "", "low": "_low", "high": "_high"}
    ends = drawn_ends().query("network == 'same'")
    tables["sharpness"] = pd.DataFrame([
        {"measure": measure, "modality": row["modality"], "at": at}
        | {name: factor * log10(row[measure + end]) for name, end in columns.items()}
        for at, factor in (("end", 1), ("equal", 0.5))
        for measure in ("trace", "top") for _, row in ends.iterrows()
    ])  # fmt: skip
    for name, table in tables.items():
        table.to_csv(tmp_path / "figures" / f"{name}.csv", index=False)
    append_row(tmp_path, made("number", 6, of="clips in the loss"))
    for row in drawn_ends().itertuples():  # those of one depth and of notebook 3
        name = "accuracy" if row.network == "same" else "accuracy_of_notebook_3"
        append_row(tmp_path, made(name, row.test_accuracy, modality=row.modality))
        append_row(tmp_path, made("train_loss", row.train_loss, modality=row.modality))
    return tmp_path


def made(name, value, **keys):
    about = {"unit": "", "n": None, "atol": None, "rtol": None, "free": False}
    return Row(name=name, value=value, keys=keys, **about)


@pytest.fixture
def opened(run, monkeypatch):
    """What the instrument is given for the run."""
    monkeypatch.setattr(landscape_open, "landscape_pair", lambda **given: given)
    return landscape_open.open_landscapes(run)


def test_planes_and_lines_are_those_that_the_notebook_had(opened):
    for name, plane in drawn_planes().items():
        merged = plane.merge(opened["planes"][name], on=["modality", "a", "b"])
        assert len(merged) == len(plane) == len(opened["planes"][name])
        assert np.allclose(merged["loss_x"], merged["loss_y"], rtol=1e-12)
    assert set(opened["lines"]) == {(m, 3) for m in MODALITIES}
    for key, each in opened["lines"].items():
        assert np.allclose(each.a, STEPS)
        for column in ("loss", "accuracy"):
            want = getattr(drawn_lines()[key], column)
            assert getattr(each, column).shape == want.shape
            assert np.allclose(getattr(each, column), want)


def test_measures_and_scores_are_those_of_the_networks_of_one_depth(opened):
    ends = opened["ends"].set_index("modality")
    want = drawn_ends().query("network == 'same'").set_index("modality")
    for column in ends.columns.drop("network"):
        assert np.allclose(ends[column], want.loc[ends.index, column]), column
    assert opened["clips"] == 6


def test_it_opens_by_a_name_and_shows_what_it_holds(run):
    panel = landscape_open.open_landscapes(str(run))
    assert panel.controls["quantity"].options == ("loss",)
    assert panel.controls["classifier"].options == (3,)
    assert panel.controls["plane"].options == (RANDOM, SHARP)
    assert "trace 100 [81.5, 121." in panel.said
    assert "of the same 6 training clips" in panel.said


def test_a_folder_that_lacks_something_is_refused_by_name(run):
    with pytest.raises(RunError, match="nowhere keeps no figure 'surfaces'; expected the folder"):
        landscape_open.open_landscapes(run / "nowhere")
    (run / "rows.jsonl").write_text("")
    with pytest.raises(RunError, match="does not say of how many clips"):
        landscape_open.open_landscapes(run)
