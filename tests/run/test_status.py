import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from redistill.errors import RedistillError, RunError
from redistill.files import write_json
from redistill.running.status import Ending, read_status, running, runs_in, write_status


def test_a_living_runner_is_running(tmp_path):
    write_status(tmp_path, running())
    assert read_status(tmp_path).state == "running"
    assert read_status(tmp_path).pid == os.getpid()


def test_a_dead_runner_is_told_by_the_reader(tmp_path):
    code = f"""if True:
        from pathlib import Path
        from redistill.running.status import running, write_status
        write_status(Path({str(tmp_path)!r}), running())"""
    subprocess.run([sys.executable, "-c", code], check=True)
    status = read_status(tmp_path)
    assert status.state == "killed"
    assert "the runner died" in status.cause


def test_another_process_with_the_runners_pid_is_not_the_runner(tmp_path):
    write_status(tmp_path, replace(running(), pid_started=1.0))
    assert read_status(tmp_path).state == "killed"


def test_a_runner_that_died_behind_its_record_had_completed(tmp_path):
    write_status(tmp_path, replace(running(), pid_started=1.0))
    (tmp_path / "record.json").write_text("{}")
    status = read_status(tmp_path)
    assert (status.state, status.cause) == ("completed", "")
    assert status.ended == status.heartbeat


def test_a_runner_elsewhere_is_judged_by_its_heartbeat(tmp_path):
    elsewhere = replace(running(), host="elsewhere", pid=1)
    write_status(tmp_path, elsewhere)
    assert read_status(tmp_path).state == "running"
    long_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    write_status(tmp_path, replace(elsewhere, heartbeat=long_ago))
    assert read_status(tmp_path).state == "killed"
    assert "sign of life for 30" in read_status(tmp_path).cause


def test_an_ended_run_stays_as_it_ended(tmp_path):
    ended = replace(running(), pid=1, host="elsewhere").after(Ending("timeout", "late", 3, None))
    write_status(tmp_path, ended)
    assert read_status(tmp_path) == ended
    assert (ended.state, ended.cause, ended.cell) == ("timeout", "late", 3)


@pytest.mark.parametrize("broken", [[], {"state": "running"}, {"nonsense": 1}])
def test_a_broken_status_file_is_an_error(tmp_path, broken):
    write_json(tmp_path / "status.json", broken)
    with pytest.raises(RedistillError, match=r"status\.json"):
        read_status(tmp_path)


def test_no_run_is_an_error_and_not_listed(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    write_status(tmp_path / "run", running())
    with pytest.raises(RunError, match="no run in"):
        read_status(tmp_path / "empty")
    assert list(runs_in(tmp_path)) == [tmp_path / "run"]
    assert list(runs_in(tmp_path / "absent")) == []
