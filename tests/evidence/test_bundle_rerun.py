import json
import os
from pathlib import Path

import nbformat
import pytest
from forge import contents, edited, fitted, write, wrong

from redistill import cli, configs
from redistill.errors import ConfigError
from redistill.evidence import rerun
from redistill.evidence.check import records_in
from redistill.evidence.checks import HeldRun
from redistill.evidence.opened import open_bundle
from redistill.evidence.rerun import Sample, read_sample
from redistill.files import cache_root, sha256_json
from redistill.running.status import Ending, RunStopped


@pytest.fixture
def ours(monkeypatch, toy_notebooks):
    """The toy's notebook as one of the suite's."""
    monkeypatch.setattr(configs, "CONFIGS", {"start": "toy:ToyConfig"})
    return ["--notebooks", str(toy_notebooks)]


def verify(capsys, path, *options):
    """Exit code, and the lines about repeated runs."""
    code = cli.main(["verify", str(path), *map(str, options)])
    return code, [line for line in capsys.readouterr().out.splitlines() if "repeated" in line]


def forged(bundle, path, change):
    """The bundle with a change to the accuracy of toy-1, in every place that tells it."""
    files, run = contents(bundle), "runs/toy-1/"

    def of(rows):
        for row in rows:
            if row["name"] == "accuracy":
                row.update(change)

    def shown(nb):
        for cell in nb["cells"]:
            kind = "application/vnd.redistill.row+json"
            of(o["data"][kind] for o in cell.get("outputs", ()) if kind in o.get("data", {}))

    for name, edit in [
        ("record.json", lambda record: of(record["rows"])),
        ("rows.jsonl", lambda row: of([row])),
        ("notebook.ipynb", shown),
    ]:
        files[run + name] = edited(files[run + name], edit)
    write(path, fitted(files))
    assert not wrong(path)  # a perfect forgery: only a repetition can tell
    return path


def test_a_run_repeated_agrees_and_the_others_are_told(bundle, tmp_path, capsys, ours, cache):
    (tmp_path / "cache" / "phases").mkdir(parents=True)
    code, lines = verify(capsys, bundle, "--rerun", "1", "--into", tmp_path / "new", *ours)
    assert code == 0
    assert lines[0] == (
        "not checkable  repeated: not repeated: its notebook is not one of this suite (2 runs)"
    )
    assert lines[1].startswith("note           1 of 2 runs are repeated: toy-")
    name = lines[1].rpartition(" ")[2]
    assert lines[2].startswith(f"ok             repeated: {name}: 4 rows within their tolerances")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    record = json.loads((tmp_path / "new" / name / "record.json").read_text())
    packed = json.loads(contents(bundle)[f"runs/{name}/record.json"])
    assert record["config_hash"] == packed["config_hash"]
    assert record["rows"] != packed["rows"]  # the time is another: it was computed anew
    assert not next(row["value"] for row in record["rows"] if row["name"] == "trained")
    assert cache_root() == tmp_path / "cache"  # and the cache is as before


def test_a_number_forged_everywhere_is_found_by_repeating(bundle, tmp_path, capsys, ours, cache):
    """Even one whose record says that it may be anything."""
    path = forged(bundle, tmp_path / "b.zip", {"value": 0.75, "free": True})
    code, lines = verify(capsys, path, "--rerun", "100%", *ours)
    assert code == 1
    (line,) = [line for line in lines if line.startswith("wrong")]
    assert "toy-1: row accuracy arm='kd': value saved " in line
    assert "saved 0.75, now 0.515625: off by 0.234, allowed 0.001" in line
    assert sum(line.startswith("ok ") for line in lines) == 1


def test_no_notebook_of_a_bundle_is_ever_executed(bundle, tmp_path, capsys, ours, cache):
    """One whose cells are another's, and one that bears the hash of ours."""
    mark = tmp_path / "mark"
    for keep_hash in (False, True):
        files = contents(bundle)
        for run in ("toy-1", "toy-2"):
            nb = nbformat.reads(files[f"runs/{run}/notebook.ipynb"].decode(), 4)
            nb.cells[3].source = f"open({str(mark)!r}, 'w')"
            files[f"runs/{run}/notebook.ipynb"] = nbformat.writes(nb).encode()
            if not keep_hash:
                change = {"notebook_hash": "0" * 64}
                old = files[f"runs/{run}/record.json"]
                files[f"runs/{run}/record.json"] = edited(old, lambda r, c=change: r.update(c))
        path = write(tmp_path / "b.zip", fitted(files))
        assert cli.main(["verify", str(path)]) == 1
        capsys.readouterr()
        _, lines = verify(capsys, path, "--rerun", "1", *ours)
        if not keep_hash:
            assert "0 of 0 runs are repeated" in lines[-1]
        assert not mark.exists()


def test_a_run_that_cannot_be_repeated_here_says_why(bundle, tmp_path, capsys, ours):
    files = contents(bundle)

    def forge(name, **values):
        def change(record):
            record["parameters"] |= values
            record["config_hash"] = sha256_json(record["parameters"])

        files[f"runs/{name}/record.json"] = edited(files[f"runs/{name}/record.json"], change)

    forge("toy-1", dataset="weizmann")
    forge("toy-2", colour="red")
    _, lines = verify(capsys, write(tmp_path / "b.zip", fitted(files)), "--rerun", "9", *ours)
    assert any("its data are not at hand (data_root None)" in line for line in lines)
    assert any("does not take its parameters: no parameter 'colour'" in line for line in lines)
    assert "0 of 0 runs are repeated" in lines[-1]


def test_the_draw_is_by_seed(bundle, tmp_path, ours, monkeypatch):
    monkeypatch.setattr(rerun, "_repeat", lambda name, *_: [name])
    opened = open_bundle(bundle)
    records = records_in([HeldRun(opened, name) for name in ("toy-1", "toy-2")])

    def drawn(seed):
        about = {"into": tmp_path, "notebooks": Path(ours[1]), "seed": seed}
        return list(rerun.repeat(records, Sample(number=1), **about))[-1]

    assert [drawn(seed) for seed in range(9)] == [drawn(seed) for seed in range(9)]
    assert {drawn(seed) for seed in range(9)} == {"toy-1", "toy-2"}


def test_a_repetition_that_is_stopped_or_fails_is_told(bundle, capsys, ours, monkeypatch):
    def stopped(state, code):
        def run(*_, **__):
            raise RunStopped(Ending(state, "why", 3, code))

        monkeypatch.setattr(rerun, "run_notebook", run)
        return cli.main(["verify", str(bundle), "--rerun", "1", *ours])

    assert stopped("failed", None) == 1
    assert "did not complete: failed in cell 3: why" in capsys.readouterr().out
    assert stopped("killed", 137) == 0
    assert "not checkable  repeated: toy-" in capsys.readouterr().out
    before = os.environ.get("REDISTILL_CACHE")
    assert stopped("interrupted", 130) == 130
    assert os.environ.get("REDISTILL_CACHE") == before


def test_a_sample_is_a_number_or_a_share():
    assert read_sample("3") == Sample(number=3)
    assert [read_sample("3").of(n) for n in (0, 2, 9)] == [0, 2, 3]
    assert [read_sample("5%").of(n) for n in (0, 1, 20, 21, 100)] == [0, 1, 1, 2, 5]
    assert read_sample("100%").of(7) == 7
    for text in ("0", "-1", "x", "0%", "101%", "nan%", "1.5", "%"):
        with pytest.raises(ConfigError, match="expected a number of runs"):
            read_sample(text)


def test_a_bad_sample_or_folder_stops_at_once(bundle, tmp_path, capsys):
    assert cli.main(["verify", str(bundle), "--rerun", "some"]) == 2
    assert capsys.readouterr().out == ""
    nowhere = str(Path(tmp_path) / "none")
    assert cli.main(["verify", str(bundle), "--rerun", "1", "--notebooks", nowhere]) == 2
