"""The journal's panel: what it says and draws of fake runs, how it follows, pauses and stops."""

import asyncio
import json
import shutil
from collections import defaultdict
from statistics import median

import pytest
from test_explore_journal_disk import RECORD, ago, journal_run

from redistill.explore.journal import AT_WORK, journal, reference_times
from redistill.reference import REFERENCE
from redistill.rows import Row, append_row
from redistill.running.status import Ending, read_status, write_status


def journal_said(panel):
    return panel.said.split(". ")


def journal_texts(panel):
    """Return what is written of the runs: labels, states, and the title last."""
    return [text.get_text() for text in panel.canvas.figure.axes[0].texts if text.get_text()]


def losses(run, *values, arm="ce"):
    for step, value in enumerate(values):
        append_row(run, Row(name="first_loss", value=value, keys={"arm": arm, "step": step}))


def test_an_empty_folder_and_one_that_is_not_there(tmp_path):
    panel = journal(tmp_path / "none")
    assert panel.said == f"{tmp_path / 'none'}: 0 runs."
    assert panel.controls["run"].options == (AT_WORK,)
    assert panel.controls["curve"].options == ()


def test_the_run_at_work_is_shown_and_its_rows(tmp_path):
    journal_run(tmp_path / "old", pid_started=0.0, cell=3, cells=9)
    run = journal_run(tmp_path / "new", cell=4, cells=9)
    losses(run, 2.5, 2.25)
    losses(run, 1.5, arm="kd")
    panel = journal(tmp_path)
    said = journal_said(panel)
    assert said[0] == f"{tmp_path}: 2 runs (1 killed, 1 running)"
    assert said[1] == "new running, cell 4 of 9, 0 s; 3 results, 0 figures"
    assert said[-1] == "Shown: first_loss, ce, 2.5 at step 0, 2.25 at step 1."
    assert panel.controls["run"].options == (AT_WORK, "new", "old")
    assert journal_texts(panel) == [
        "new", "old", "running, cell 4/9", "killed, cell 3/9", "2 runs",
    ]  # fmt: skip
    here = panel.canvas.figure.axes[0].lines[0]
    assert list(here.get_ydata()) == [0, 0]
    panel.set(curve="first_loss, kd")
    assert panel.said.endswith("Shown: first_loss, kd, 1.5 at step 0, 1.5 at step 0.")
    line = panel.canvas.figure.axes[1].lines[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0], [1.5])
    panel.set(run="old")
    assert "old killed, cell 3 of 9" in panel.said
    assert "the runner died" in panel.said
    assert list(here.get_ydata()) == [1, 1]
    assert panel.values["curve"] is None


def test_without_a_run_at_work_the_newest_is_shown(tmp_path):
    journal_run(tmp_path / "b", pid_started=0.0, started=ago(90))
    journal_run(tmp_path / "a", pid_started=0.0, started=ago(30))
    journal_run(tmp_path / "c", pid_started=0.0, started=ago(60))
    assert "a killed" in journal(tmp_path).said


def test_more_runs_than_fit_are_counted(tmp_path):
    for number in range(15):
        journal_run(tmp_path / f"3_progressive_kd-20261121T104610Z-0aa0ae{number:02d}")
    panel = journal(tmp_path)
    left = panel.canvas.figure.axes[0]
    assert left.texts[-1].get_text() == "15 runs; the first 12 of them"
    assert len(journal_texts(panel)) == 12 + 12 + 1
    assert all(len(text.get_text()) <= 40 for text in left.texts)
    panel.set(run="3_progressive_kd-20261121T104610Z-0aa0ae14")
    assert "0aa0ae14 running" in panel.said


def test_bars_are_the_share_of_cells(tmp_path):
    run = journal_run(tmp_path / "a", cell=4, cells=12)
    panel = journal(tmp_path)
    bars = panel.canvas.figure.axes[0].lines[2]
    assert list(bars.get_xdata())[:2] == [0, 3 / 12]
    (run / "record.json").write_text(RECORD)
    write_status(run, read_status(run).after(Ending("completed", "")))
    panel.look()
    assert list(bars.get_xdata())[:2] == [0, 1.0]
    assert "a completed" in panel.said


def test_a_vanished_run_gives_way(tmp_path):
    run = journal_run(tmp_path / "a")
    journal_run(tmp_path / "b")
    panel = journal(tmp_path)
    panel.set(run="a")
    shutil.rmtree(run)
    panel.look()
    assert panel.values["run"] == AT_WORK
    assert panel.said.startswith(f"{tmp_path}: 1 run (1 running). b running")


def test_what_cannot_be_read_is_said(tmp_path):
    (journal_run(tmp_path / "a") / "status.json").write_text("{")
    journal_run(tmp_path / "b")
    said = journal(tmp_path).said
    assert "a/status.json cannot be read as JSON" in said
    assert "b running" in said


def followed(panel, *steps, every=0.02):
    """Let a journal follow the disk, do each step, and return what it said after each."""

    async def live():
        task, said = panel.follow(every=every), []
        for step in steps:
            step()
            await asyncio.sleep(0.4)
            said.append(panel.said)
        alive = not task.done()
        panel.widget.close()
        await asyncio.sleep(0.2)
        assert task.done()
        assert not task.cancelled()
        return said, alive

    return asyncio.run(live())


def test_it_follows_the_disk_pauses_and_ends_with_its_widget(tmp_path):
    panel = journal(tmp_path)
    run = tmp_path / "a"
    said, alive = followed(
        panel,
        lambda: journal_run(run, cell=1, cells=3),
        lambda: losses(run, 2.5),
        lambda: panel.set(follow=False),
        lambda: journal_run(run, cell=2, cells=3),
        lambda: panel.set(follow=True),
        lambda: journal_run(run, pid_started=0.0, cell=2, cells=3),
    )
    assert alive
    assert "a running, cell 1 of 3, 0 s; 0 results" in said[0]
    assert "first_loss, ce, 2.5 at step 0" in said[1]
    assert said[2].endswith("Paused: the disk may say more by now.")
    assert "cell 1 of 3" in said[3]
    assert "cell 2 of 3" in said[4]
    assert "a killed, cell 2 of 3" in said[5]


def test_a_paused_journal_looks_when_asked(tmp_path):
    panel = journal(tmp_path)
    panel.set(follow=False)
    journal_run(tmp_path / "a")
    assert "0 runs" in panel.said
    (text,) = journal_texts(panel)
    assert text.startswith("no run yet: ")
    assert text.endswith(" (paused)")
    panel.look()
    assert "1 run (1 running)" in panel.said


def test_nothing_is_drawn_while_nothing_changes(tmp_path):
    journal_run(tmp_path / "a", pid_started=0.0)
    panel, drawn = journal(tmp_path), []
    panel.canvas.widget.observe(lambda change: drawn.append(1), names="value")
    followed(panel, lambda: None)
    assert drawn == []


def test_the_second_journal_replaces_the_first(tmp_path):
    first, second = journal(tmp_path), journal(tmp_path)

    async def live():
        one = first.follow(every=0.02)
        await asyncio.sleep(0.1)
        two = second.follow(every=0.02)
        await asyncio.sleep(0.1)
        journals = [t for t in asyncio.all_tasks() if t.get_name() == "redistill-journal"]
        assert journals == [two]
        assert one.cancelled()
        two.cancel()

    asyncio.run(live())


def test_an_unexpected_fault_is_said_and_the_journal_goes_on(tmp_path, monkeypatch):
    panel = journal(tmp_path)
    looks = iter([OSError(5, "the disk is away"), None])

    def faulty(self):
        error = next(looks, None)
        if error:
            raise error
        return type(panel._view._seen)()

    monkeypatch.setattr("redistill.explore.journal_table.Reader.look", faulty)
    said, alive = followed(panel, lambda: None, every=0.5)
    assert alive
    assert "the disk is away" in said[0]


def test_the_twin_holds_the_times_of_the_reference_runs():
    kinds = defaultdict(list)
    for path in REFERENCE.glob("*/record.json"):
        record = json.loads(path.read_text())
        data = record["parameters"]["dataset"]
        data = record["parameters"]["world"] if data == "synthetic" else data
        kinds[f"{record['notebook'][:-6]} {data}"].append(record["seconds"] / 60)
    table, each = reference_times(REFERENCE)
    assert len(each) == sum(map(len, kinds.values()))
    assert set(table["runs_of"]) == set(kinds)
    for line in table.itertuples():
        found = kinds[line.runs_of]
        assert (line.state, line.runs) == ("completed", len(found))
        expected = (min(found), median(found), max(found))
        assert (line.shortest, line.median, line.longest) == pytest.approx(expected, abs=1e-3)
