"""What a plan says: what is there and why the rest is to do, time, disk, GPU hours, seeds."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))
from toy import ToyConfig, notebook

from redistill.batch import plan
from redistill.batch.found import keys_of
from redistill.batch.plan import plan_text
from redistill.batch.spec import grid
from redistill.config import as_json
from redistill.files import write_json
from redistill.running.run_record import check_record
from redistill.running.status import Ending, running, write_status

ROOT = Path(__file__).parents[2]
TEMPLATE = json.loads(next((ROOT / "reports" / "reference").glob("1-*/record.json")).read_text())


@pytest.fixture(autouse=True)
def bench(tmp_path, monkeypatch):
    """Work in the test's folder, with a notebook of the toy config in it."""
    configs = {
        "start": f"{ToyConfig.__module__}:ToyConfig",
        "progressive": "redistill.methods.progressive:ProgressiveConfig",
    }
    monkeypatch.setattr("redistill.configs.CONFIGS", configs)
    monkeypatch.setenv("REDISTILL_CACHE", "cache")
    monkeypatch.chdir(tmp_path)
    notebook(Path("n.ipynb"))


def toys(*seeds, **fixed):
    given = [(name, str(value)) for name, value in fixed.items()]
    return grid([Path("n.ipynb")], given, [("seed", [str(seed) for seed in seeds])])


def put(name, spec, *, folder="reports", key="own", **facts):
    """Write the record of a run of ``spec``; its key is the spec's own unless said."""
    if key == "own":
        (found,) = keys_of([spec])
        key = found.to_json()
    about = {"notebook": spec.notebook.name, "profile": spec.config.profile, "key": key}
    about |= {"parameters": as_json(spec.config), "run": name, "rows": [], **facts}
    record = TEMPLATE | about
    check_record(record, Path(name))
    write_json(Path(folder, name, "record.json"), record)


def attempt(name, spec, state, started, **facts):
    """Write what an attempt at a run leaves that ended as ``state``, without a record."""
    status = replace(running(), started=started)
    status = status if state == "running" else status.after(Ending(state, "a cause"))
    folder = Path("reports", name)
    folder.mkdir(parents=True)
    write_status(folder, status)
    write_json(folder / "parameters.json", as_json(spec.config) | facts)


def said(specs, slots=2, *, cuda=False):
    text = plan_text(specs, Path("reports"), slots=slots, cuda=cuda, reference=Path("reference"))
    assert max(map(len, text.splitlines())) <= 100
    return text


def line(text, start):
    (found,) = [each for each in text.splitlines() if each.startswith(start)]
    return found


def test_each_run_is_there_or_to_do_and_why():
    specs = toys(*range(9))
    keys = [key.to_json() for key in keys_of(specs)]
    put("one", specs[0])
    put("two", specs[1], key=keys[1] | {"value": "0" * 64, "source": "other", "data": "other"})
    put("three", specs[2], key=None)
    attempt(f"n-{keys[3]['value'][:12]}", specs[3], "failed", "2026-01-01T00:00:00.000+00:00")
    attempt(f"n-{keys[3]['value'][:12]}-2", specs[3], "killed", "2026-01-02T00:00:00.000+00:00")
    attempt("n-2026", specs[4], "timeout", "2026-01-01T00:00:00.000+00:00")
    attempt("n-2027", specs[5], "failed", "2026-01-01T00:00:00.000+00:00")
    attempt("n-2028", specs[6], "running", "2026-01-01T00:00:00.000+00:00")
    attempt("n-2029", specs[7], "killed", "2026-01-01T00:00:00.000+00:00", epochs=999)
    attempt("other", specs[8], "killed", "2026-01-01T00:00:00.000+00:00")
    text = said(specs)
    assert text.startswith("Plan, not run: of 9 runs 1 there, 8 to do\n")
    assert line(text, "n seed=0") == ["n seed=0  is there: one", " 13 min 56 s"][0]
    assert "to do, repeated: source and data changed" in line(text, "n seed=1")
    assert "to do, repeated: its record has no key" in line(text, "n seed=2")
    killed = f"to do, killed earlier: goes on from its last epoch (n-{keys[3]['value'][:12]}-2)"
    assert killed in line(text, "n seed=3").replace("\n", "")
    assert "out of time earlier: goes on from its last epoch, if that" in line(text, "n seed=4")
    assert "to do, failed earlier: is tried again (n-2027)" in line(text, "n seed=5")
    assert "to do, under way now (n-2028)" in line(text, "n seed=6")
    assert "to do, new" in line(text, "n seed=7")
    assert "to do, new" in line(text, "n seed=8")


def test_the_later_of_a_record_and_an_attempt_tells():
    (spec,) = toys(0)
    (key,) = keys_of([spec])
    other = key.to_json() | {"value": "0" * 64, "source": "other"}
    put("n-done", spec, key=other, started="2026-01-02T00:00:00.000+00:00")
    put("z-first", spec, key=other | {"data": "other"}, started="2026-01-01T00:00:00.000+00:00")
    attempt("n-before", spec, "killed", "2026-01-01T00:00:00.000+00:00")
    assert "repeated: source changed" in said([spec])
    attempt("n-after", spec, "killed", "2026-01-03T00:00:00.000+00:00")
    assert "killed earlier: goes on from its last epoch, if that still fits" in said([spec])


def test_a_run_with_a_valid_record_is_no_attempt_that_failed():
    (spec,) = toys(0)
    (key,) = keys_of([spec])
    attempt("n-old", spec, "completed", "2026-01-01T00:00:00.000+00:00")
    assert "has no valid record: is repeated (n-old)" in said([spec])
    put("n-old", spec, key=key.to_json() | {"value": "0" * 64, "parameters": "other"})
    assert "to do, new" in said([spec])


def test_time_is_the_median_of_runs_like_these_packed_on_the_slots():
    (other,) = toys(90, profile="standard")
    put("other", other, seconds=9999.0)
    put("elsewhere", other, key=None, seconds=9999.0, notebook="x.ipynb", profile="quick")
    for number, seconds in enumerate((100.0, 900.0)):
        put(f"run{number}", toys(10 + number)[0], seconds=seconds)
    put("far", toys(12)[0], seconds=200.0, folder="reference")
    text = said(toys(0, 1, 2))
    assert line(text, "n seed=0") == "n seed=0  to do, new; 3 min 20 s"
    assert line(text, "Time") == "Time       6 min 40 s on 2 slots, 10 min 00 s of runs"
    assert line(text, "GPU") == "GPU hours  none: these run on CPUs"
    mixed = said((*toys(0), *toys(0, epochs=3, dataset="weizmann")))
    assert line(mixed, "Time").endswith("of runs; 1 more of a time unknown until one has run")
    unknown = said(toys(0, dataset="weizmann"), cuda=True)
    assert line(unknown, "Time") == "Time       unknown until one has run"
    assert line(unknown, "GPU") == "GPU hours  unknown until one has run on a GPU"


def test_runs_on_a_gpu_tell_of_runs_on_a_gpu():
    for number, (device, seconds) in enumerate([("cpu", 5000.0), ("cuda: H", 360.0)]):
        put(f"run{number}", toys(10 + number)[0], seconds=seconds, device=device)
    on_gpu, on_cpu = said(toys(0, 1), 1, cuda=True), said(toys(0), 1)
    assert line(on_gpu, "GPU") == "GPU hours  0.20, as 2 runs like these took"
    assert line(on_gpu, "Time") == "Time       12 min 00 s on 1 slot, 12 min 00 s of runs"
    assert "1 h 23 min" in line(on_cpu, "Time")


def test_disk_is_told_and_a_lack_of_it_too(monkeypatch):
    assert "Disk       unknown until one has run in reports (" in said(toys(0))
    put("run", toys(10)[0], disk={"run": 3_000_000, "cache": 2_000_000_000})
    text = said(toys(0, 1))
    assert "Disk       6 MB in reports (" in text
    assert "Disk       4 GB at most in " in text
    assert "NOT ENOUGH ROOM" not in text
    usage = type("Usage", (), {"free": 3_500_000_000})
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda place: usage)
    warning = line(said(toys(0, 1)), "NOT ENOUGH")
    assert warning.startswith("NOT ENOUGH ROOM: 4.01 GB to be written, 3.5 GB free; make room")
    assert "NOT ENOUGH ROOM" not in said(toys(0))


def test_nothing_to_do():
    (spec,) = toys(0)
    put("one", spec)
    assert "Nothing to do." in said([spec])


PROGRESSIVE = ROOT / "notebooks" / "3_progressive_kd.ipynb"


def accuracies(**values):
    """Return rows of the backbones' accuracies, in fractions."""
    return [
        {"name": "accuracy", "value": value, "unit": "fraction", "n": None, "atol": None,
         "rtol": None, "free": False, "keys": {"arm": "backbone", "modality": modality}}
        for modality, value in values.items()
    ]  # fmt: skip


def deciding(axes, *fixed):
    return grid([PROGRESSIVE], [("profile", "standard"), *fixed], axes)


def cells_of(text, claim):
    (found,) = [each for each in text.splitlines() if each.startswith(f"  {claim} ")]
    return re.split(" {2,}", found.strip())[1:]


def test_the_power_of_the_batch_is_told_by_claim():
    """At a spread of twice the effect 34 pairs give 80 % power, at once the effect 10 (G*Power)."""
    spread = 2 * math.sqrt(3) / 200  # of -a, a, -a, a the standard deviation is a * sqrt(4 / 3)
    there = deciding([("data_seed,seed", ["0,0", "1,1", "2,2", "3,3"])])
    for number, spec in enumerate(there):
        rows = accuracies(iframe=0.6 + (-1) ** number * spread, residual=0.5, mv=0.5)
        put(f"run{number}", spec, key=None, rows=rows)
    batch = deciding([("data_seed,seed", ["3,3", "4,4", "0,5"])])
    text = said(batch)
    assert cells_of(text, "G2") == ["1 margin", "2 (4 runs)", "34", "6", "28 more"]
    assert cells_of(text, "G3")[1:] == ["0 (4 runs)", "10", "6", "4 more"]
    assert cells_of(text, "P3")[1:] == ["unknown", "unknown", "0", "not tested"]
    quick = deciding([("seed", ["0", "1"])], ("set_size", "quick"))
    assert cells_of(said(quick), "P3")[1:] == ["unknown", "unknown", "2"]
    many = deciding([("data_seed", ["0", "1", "2", "3"]), ("seed", list("0123456789"))])
    assert cells_of(said(many), "G2")[2:] == ["34", "40", "enough"]
    other = deciding([("seed", ["0", "1"])], ("lr", "0.01"))
    assert cells_of(said(other), "G2")[1:] == ["2 (4 runs, other setting)", "34", "2", "32 more"]
    world = deciding([("seed", ["0", "1"])], ("world", "motion_led"))
    assert "2 (4 runs, scene_led)" in said(world)


def test_printed_values_count_on_the_papers_data_only(tmp_path):
    fixed = [("profile", "paper"), ("data_root", str(tmp_path))]
    text = said(grid([PROGRESSIVE], fixed, [("dataset", ["ucf101", "hmdb51"])]))
    rows = [each.split()[1:3] for each in text.splitlines() if each.startswith("  P3 ")]
    assert rows == [["5.87", "printed"], ["11.42", "printed"]]
    fixed = [("profile", "standard"), *fixed[1:], ("dataset", "ucf101")]
    assert "5.87" not in said(grid([PROGRESSIVE], fixed, []))


def test_quick_runs_give_no_verdict():
    text = said(grid([PROGRESSIVE], [], [("seed", ["0", "1"])]))
    assert "quick runs check the machinery and give no verdict" in text
    assert "P3" not in text
