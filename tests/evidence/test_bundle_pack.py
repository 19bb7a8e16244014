import json
import os
import resource
import shutil
from zipfile import ZipFile

import pytest
from forge import contents

from redistill import cli
from redistill.errors import ConfigError, RedistillError, RunError
from redistill.evidence.choose import choose
from redistill.evidence.pack import write_bundle
from redistill.reporting.report import build_index

REFERENCE = ("1-scene_led-d0-s0", "1-scene_led-d1-s0")
STATUS = {
    "state": "failed", "pid": 1, "pid_started": 0.0, "host": "h", "started": "2026-01-01T00:00:00Z",
    "heartbeat": "2026-01-01T00:00:00Z", "cause": "KeyError: 'x'",
}  # fmt: skip


def names(runs):
    return [run.name for run in runs]


def pick(reports, *named, everything=False, claims=()):
    return choose(named, reports, everything=everything, claims=claims)


@pytest.fixture
def copy(reports, tmp_path):
    """A copy of the reports, with a run that failed and one whose record is broken."""
    folder = tmp_path / "reports"
    shutil.copytree(reports, folder)
    for name in ("failed", "broken"):
        (folder / name).mkdir()
    (folder / "failed" / "status.json").write_text(json.dumps(STATUS))
    (folder / "broken" / "record.json").write_text("{")
    return folder


def test_the_runs_found_are_those_the_index_counts(copy):
    runs, left = pick(copy)
    assert names(runs) == sorted([*REFERENCE, "toy-1", "toy-2"])
    page = build_index(copy).read_text()
    assert "4 runs have a valid record" in page
    assert len(left) == 2
    assert "broken: its record is not valid" in left[0]
    assert "failed: it has no record" in left[1]


def test_a_bundle_holds_what_proves_its_runs_and_nothing_else(copy, tmp_path):
    run = copy / "toy-1"
    (run / "report.html").write_text("page")
    (run / "scratch").mkdir()
    (run / "scratch" / "record.json").write_text("{}")
    (run / ".notebook.ipynb.x.tmp").write_text("half")
    (run / "figures" / ".line.png.x.tmp").write_text("half")
    (run / "checkpoint.pt").write_text("weights")
    write_bundle(tmp_path / "b.zip", pick(copy, run)[0])
    files = contents(tmp_path / "b.zip")
    kept = {name.removeprefix("runs/toy-1/") for name in files if name.startswith("runs/")}
    own = ["parameters", "record", "status", "environment", "data"]
    more = ["rows.jsonl", "notebook.ipynb", "report.html", "figures/line.png", "figures/line.csv"]
    assert kept == {f"{name}.json" for name in own} | set(more)
    for name in kept:
        assert files[f"runs/toy-1/{name}"] == (run / name).read_bytes()
    top = {name for name in files if not name.startswith("runs/")}
    kinds = {"MANIFEST.json", "claims.toml", "manifests.json", "requirements.lock", "verdicts.json"}
    assert top == kinds
    assert json.loads(files["manifests.json"]) == {"toy-1": {"manifest": "abc", "sealed_reads": 1}}
    suite = json.loads(files["MANIFEST.json"])["suite"]
    assert set(suite) == {"version", "library_hash", "python", "git", "versions"}


def test_the_same_runs_give_the_same_bytes(copy, reports, tmp_path, monkeypatch):
    monkeypatch.setattr("redistill.evidence.pack.library_hash", lambda: "0" * 64)  # not edits
    write_bundle(tmp_path / "a.zip", pick(reports)[0])
    for path in sorted(copy.rglob("*"), reverse=True):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700)
    folders = [copy / name for name in ("toy-2", "toy-1")]
    folders += [copy / "reference" / name for name in reversed(REFERENCE)]
    write_bundle(tmp_path / "b.zip", pick(copy, *folders)[0])
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes()
    with ZipFile(tmp_path / "b.zip") as pack:
        *rest, last = pack.namelist()
        assert (rest, last) == (sorted(rest), "MANIFEST.json")
        assert {info.date_time for info in pack.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in pack.infolist()} == {0o100644}


def test_only_the_runs_behind_a_claim(copy):
    runs, _ = pick(copy, claims=["S1"])
    assert names(runs) == list(REFERENCE)
    with pytest.raises(RunError, match="no run behind P1"):
        pick(copy, claims=["P1"])
    with pytest.raises(ConfigError, match=r"no claim 's1'\. Did you mean"):
        pick(copy, claims=["s1"])


def test_a_run_that_did_not_complete_is_packed_only_if_asked_and_never_counted(copy, tmp_path):
    for name in ("failed", "broken"):
        with pytest.raises(RunError, match=f"{name} cannot be packed.*--all"):
            pick(copy, copy / name)
    runs, left = pick(copy, everything=True)
    assert {"failed", "broken", "toy-1"} <= set(names(runs))
    assert not left
    write_bundle(tmp_path / "b.zip", runs)
    manifest = json.loads(contents(tmp_path / "b.zip")["MANIFEST.json"])
    assert manifest["runs"]["failed"] == {"state": "failed", "counted": False}
    assert manifest["runs"]["broken"] == {"state": "unknown", "counted": False}
    assert manifest["runs"]["toy-1"] == {"state": "completed", "counted": True}
    assert cli.main(["verify", str(tmp_path / "b.zip")]) == 0


def test_a_run_under_way_is_never_packed(copy, capsys):
    from redistill.running.status import running, write_status

    write_status(copy / "failed", running())
    runs, left = pick(copy, everything=True)
    assert "failed" not in names(runs)
    assert "the run is running" in left[0] or "no record" in left[0]
    with pytest.raises(RunError, match="wait for its end"):
        pick(copy, copy / "failed", everything=True)


def test_what_cannot_be_packed_is_said(copy, tmp_path):
    with pytest.raises(RunError, match="no run folder"):
        pick(copy, copy / "none")
    with pytest.raises(RunError, match="no folder"):
        pick(copy / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="nothing is packed"):
        pick(tmp_path / "empty")
    (copy / "failed").rename(copy / "my failed run")
    assert "toy-1" in names(pick(copy)[0])
    (copy / "toy-2").rename(copy / "toy 2")
    with pytest.raises(RedistillError, match="'toy 2' cannot name a file"):
        pick(copy)
    (copy / "toy 2").rename(copy / "toy-2")
    shutil.copytree(copy / "toy-1", copy / "reference" / "toy-1")
    with pytest.raises(RunError, match="two runs are called toy-1"):
        pick(copy)


@pytest.mark.parametrize("name", ["report.html", "figures/line.png", "figures"])
def test_a_link_is_refused_and_nothing_is_written(copy, tmp_path, name):
    outside = tmp_path / "outside"
    shutil.copytree(copy / "toy-1" / "figures", outside)
    target = copy / "toy-1" / name
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    target.symlink_to(outside if name == "figures" else outside / "line.png")
    with pytest.raises(RunError, match="link"):
        write_bundle(tmp_path / "out" / "b.zip", pick(copy, copy / "toy-1")[0])
    assert not list((tmp_path / "out").glob("*")) + list((tmp_path / "out").glob(".*"))


def test_a_file_that_is_there_is_kept_unless_forced(copy, tmp_path, capsys):
    path = tmp_path / "b.zip"
    path.write_text("precious")
    command = ["bundle", "--reports", str(copy), "-o", str(path)]
    assert cli.main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text() == "precious"
    assert cli.main([*command, "--force"]) == 0
    out, err = capsys.readouterr()
    assert "4 runs, " in out
    assert json.loads(contents(path)["MANIFEST.json"])["digest"] in out
    assert err.count("left out") == 2


def test_a_place_that_cannot_be_written_is_said(copy, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "b.zip"
    assert cli.main(["bundle", "--reports", str(copy), "-o", str(path)]) == 2
    assert "name another file with -o" in capsys.readouterr().err


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_full_disk_leaves_no_half_file_and_the_old_one(copy, tmp_path, capsys, size):
    """A limit on the size of files stands for the disk."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.zip").write_text("precious")
    command = ["bundle", "--reports", str(copy), "--force", "-o", str(out / "b.zip")]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        code = cli.main(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 5
    assert "disk_full: File too large" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["b.zip"]
    assert (out / "b.zip").read_text() == "precious"
