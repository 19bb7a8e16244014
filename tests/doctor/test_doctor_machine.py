"""Cores, memory and disk: each as it would be on a machine that lacks them."""

import os
from collections import namedtuple

import psutil
import pytest

from redistill.doctor import limits, machine
from redistill.doctor.examine import Asked
from redistill.doctor.finding import FAIL, OK, WARN

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path / "cache"))
    return Asked(reports=tmp_path / "reports")


def test_room_enough_is_ok(asked):
    found = machine.check_disk(asked)
    assert found.state in (OK, WARN)
    assert "GB for runs and cache and temporary files" in found.found


@pytest.mark.parametrize(("free", "state"), [(5e6, FAIL), (1e9, WARN), (1e12, OK)])
def test_no_space_is_told_with_its_number(asked, monkeypatch, free, state):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: Usage(2e12, 1e12, int(free)))
    found = machine.check_disk(asked)
    assert found.state == state
    if state == FAIL:
        assert "5 MB free" in found.found
        assert "REDISTILL_CACHE" in found.todo


def test_a_folder_without_the_right_to_write_fails(asked, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda place, mode: False)
    found = machine.check_disk(asked)
    assert found.state == FAIL
    assert "no right to write" in found.found


def test_a_disk_that_cannot_rename_fails_and_nothing_stays(asked, monkeypatch):
    asked.reports.mkdir()

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "replace", refuse)
    found = machine.check_disk(asked)
    assert found.state == FAIL
    assert "Operation not supported" in found.found
    assert not [*asked.reports.iterdir()]


def test_a_rename_that_keeps_the_old_file_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "write_atomic", lambda path, text: path.write_text("one"))
    assert "does not hold" in machine.writing_fault(tmp_path, try_out=True)


def test_what_records_tell_of_disk_is_what_is_needed(asked, monkeypatch):
    told = [{"disk": {"run": 3_000_000, "cache": 7e9}}, {"disk": None}, {}]
    monkeypatch.setattr(machine, "records", lambda *a, notebook: told if not a else [])
    assert machine.disk_needs(asked) == (7_003_000_000, "7.0 GB at most (1 records tell)")


@pytest.mark.parametrize(("free", "state"), [(1e9, FAIL), (2e9, WARN), (64e9, OK)])
def test_memory_against_the_largest_reference_run(asked, monkeypatch, free, state):
    monkeypatch.setattr(limits, "memory", lambda: (free, True))
    found = machine.check_memory(asked)
    assert found.state == state
    assert "control group" in found.found


@pytest.mark.parametrize(
    ("cores", "load", "state"), [(2, 0.5, OK), (2, 6.0, WARN), (0.5, 0.0, WARN)]
)
def test_cores_and_load(asked, monkeypatch, cores, load, state):
    monkeypatch.setattr(limits, "cores", lambda: cores)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (load, 0, 0))
    found = machine.check_processor(asked)
    assert found.state == state
    assert f"{cores:g} of" in found.found


def system(root, cgroup, **files):
    """A machine's /proc and /sys below a folder."""
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_limits_of_control_groups_version_2_and_1(tmp_path):
    group = "sys/fs/cgroup/"
    two = system(
        tmp_path / "two",
        "0::/a/b\n",
        **{
            f"{group}a/cpu.max": "50000 100000\n",
            f"{group}a/b/cpu.max": "max 100000\n",
            f"{group}a/b/memory.max": "1000\n",
            f"{group}a/b/memory.current": "400\n",
        },
    )
    assert limits.cores(two) == 0.5
    assert limits.memory(two) == (600, True)
    one = system(
        tmp_path / "one",
        "5:memory:/x\n4:cpu,cpuacct:/x\n",
        **{
            f"{group}memory/memory.limit_in_bytes": "2000\n",
            f"{group}memory/memory.usage_in_bytes": "3000\n",
            f"{group}cpu/cpu.cfs_quota_us": "25000\n",
            f"{group}cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert limits.cores(one) == 0.25
    assert limits.memory(one) == (0, True)


def test_no_limit_is_the_whole_machine(tmp_path):
    group = "sys/fs/cgroup/"
    files = {f"{group}cpu.max": "max 100000", f"{group}memory.max": "max"}
    files |= {f"{group}memory/memory.limit_in_bytes": str(2**63 - 4096)}
    root = system(tmp_path, "0::/\n3:memory:/\n", **files)
    assert limits.cores(root) == len(os.sched_getaffinity(0))
    free, limited = limits.memory(root)
    assert not limited
    assert 0 < free <= psutil.virtual_memory().total
