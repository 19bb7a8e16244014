"""Findings read in order, as JSON they are valid, a check that breaks names itself, exit codes."""

import argparse
import json
import os
import socket
import sys
import tempfile

import pytest

from redistill.doctor.command import add_doctor_options, doctor
from redistill.doctor.examine import CHECKS, TRAINED, Asked, examine
from redistill.doctor.finding import FAIL, OK, WARN, Finding, as_json, as_text
from redistill.errors import RedistillError
from redistill.running.status import RunStopped


def options(*words):
    parser = argparse.ArgumentParser()
    add_doctor_options(parser)
    return parser.parse_args(words)


@pytest.fixture
def checks(monkeypatch):
    """Replaces all checks by those given."""

    def replace(*made):
        place = "redistill.doctor.examine"
        monkeypatch.setattr(f"{place}.CHECKS", tuple((f.name, lambda _, f=f: f) for f in made))
        monkeypatch.setattr(f"{place}.TRAINED", ())
        monkeypatch.setattr(f"{place}._expected", lambda notebook: [])

    return replace


def test_failures_come_first_and_columns_are_aligned():
    found = [
        Finding("a", OK, "x " * 80),
        Finding("longer", FAIL, "bad", "mend"),
        Finding("c", WARN, "w"),
    ]
    lines = as_text(found).splitlines()
    assert lines[0] == "FAIL  longer  bad"
    assert lines[1] == "              -> mend"
    assert lines[2] == "warn  c       w"
    assert lines[3].startswith("ok    a       x x")
    assert lines[4].startswith("              x")
    assert lines[-1] == "1 ok, 1 warn, 1 FAIL"
    assert max(map(len, lines)) <= 100


def test_what_a_file_is_called_cannot_move_the_cursor():
    found = Finding("clips", WARN, "broken: a\x1b[2Jb\n.avi")
    assert "\x1b" not in as_text([found]) + found.line()
    assert len(as_text([found]).splitlines()) == 2


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on():
    def breaks(asked):
        raise KeyError("gone")

    checks = [("one", breaks), ("two", lambda asked: Finding("two", OK, "fine"))]
    one, two = examine(Asked(), checks=checks)
    assert (one.name, one.state, two.state) == ("one", FAIL, OK)
    assert "KeyError" in one.found
    assert "gone" in one.found


def test_without_torch_what_needs_it_is_not_looked_at_and_the_rest_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    kept = ("python", "torch", "gpu", "processor", "determinism", "pace")
    checks = [(name, check) for name, check in CHECKS + TRAINED if name in kept]
    found = {finding.name: finding for finding in examine(Asked(), checks=checks)}
    assert found["torch"].state == FAIL
    assert "does not load" in found["torch"].found
    for name in ("gpu", "determinism", "pace"):
        assert (found[name].state, found[name].todo) == (WARN, "see torch")
    assert found["processor"].found.count("cores") == 1


def test_exit_is_0_without_a_failure_and_1_with_one(checks, capsys):
    checks(Finding("a", OK, "x"), Finding("b", WARN, "y"))
    doctor(options())
    assert "1 ok, 1 warn, 0 FAIL, in " in capsys.readouterr().out
    checks(Finding("a", OK, "x"), Finding("b", FAIL, "y", "z"))
    with pytest.raises(RunStopped, match="not ready: b") as stopped:
        doctor(options("--json"))
    assert stopped.value.exit_code == 1
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "fail"
    assert told["findings"][1] == {"name": "b", "state": "fail", "found": "y", "todo": "z"}


def test_a_notebook_is_named_by_number_or_file_and_a_wrong_one_is_told(checks):
    checks()
    for name in ("3", "3_progressive_kd", "notebooks/3_progressive_kd.ipynb", ""):
        doctor(options("--notebook", name))
    with pytest.raises(RedistillError, match="no notebook 'spectrum'"):
        doctor(options("--notebook", "spectrum"))


def tree(*folders):
    """Path, size and time of change of everything below some folders."""
    found = {}
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            found[path] = (path.lstat().st_size, path.lstat().st_mtime_ns if path.is_file() else 0)
    return found


def test_the_whole_doctor_writes_nothing_that_stays_and_asks_no_network(
    tmp_path, monkeypatch, capsys
):
    for name in ("home", "cache", "reports", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)

    def refuse(*_):
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    environment, before = dict(os.environ), tree(tmp_path)
    try:
        doctor(options("--json", "--notebook", "0"))
    except RunStopped as stopped:
        pytest.fail(f"{stopped}\n{capsys.readouterr().out}")
    for made in (tmp_path / "temporary").glob("torchinductor_*"):
        made.rmdir()  # empty; torch makes it when its optimisers are loaded
    assert tree(tmp_path) == before
    assert dict(os.environ) == environment
    told = json.loads(capsys.readouterr().out)
    names = [finding["name"] for finding in told["findings"]]
    assert names == [
        *("python", "packages", "jupyter", "torch", "gpu", "processor", "memory", "disk"),
        *("codecs", "clips", "split leakage", "determinism", "pace", "expect 0"),
    ]
    assert all(finding["found"] for finding in told["findings"])
    assert "not made yet" in told["findings"][9]["found"]


def test_brief_asks_the_same_checks_on_every_machine():
    names = [finding.name for finding in examine(Asked(brief=True), checks=None)]
    assert len(names) == 11
    assert "pace" not in names


def test_as_json_keeps_the_order_of_the_checks():
    told = as_json([Finding("a", OK, "x"), Finding("b", WARN, "y")], seconds=1.23456)
    assert [one["name"] for one in told["findings"]] == ["a", "b"]
    assert (told["state"], told["seconds"]) == ("warn", 1.23)
