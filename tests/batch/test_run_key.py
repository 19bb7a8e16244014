"""The key of a run: every input changes it, each in its own part; nothing else does."""

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))
from nbformat.v4 import new_code_cell, new_notebook
from toy import ToyConfig, notebook

from redistill import source
from redistill.batch.found import find_run, find_runs
from redistill.config import param, resolve
from redistill.errors import ConfigError, RunError
from redistill.running import content, key
from redistill.running.content import ABSENT, folder_bytes, hash_content
from redistill.running.key import run_key
from redistill.running.run_record import read_record
from redistill.running.runner import run_notebook

CONFIG = resolve(ToyConfig, {"seed": 3})
REFERENCE = Path(__file__).parents[2] / "reports" / "reference"


def cells(*sources: str) -> Any:
    return new_notebook(cells=[new_code_cell(each) for each in sources])


def changed(before, after):
    """Names of the parts that differ; the value must differ exactly if one does."""
    parts = {name for name, digest in before.parts.items() if after.parts[name] != digest}
    assert (before.value != after.value) == bool(parts)
    return parts


def test_a_cell_counts_and_an_output_does_not():
    nb = cells("x = 1", "print(x)")
    before = run_key(nb, CONFIG)
    assert len(before.value) == 64
    nb.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    nb.cells[1].execution_count = 7
    assert changed(before, run_key(nb, CONFIG)) == set()
    given = new_code_cell("seed = 3", metadata={"tags": ["injected-parameters"]})
    nb.cells.insert(1, given)
    assert changed(before, run_key(nb, CONFIG)) == set()
    nb.cells[0].source = "x = 2"
    assert changed(before, run_key(nb, CONFIG)) == {"cells"}


@pytest.mark.usefixtures("cache")
def test_a_parameter_counts_and_a_place_does_not(tmp_path):
    nb = cells("x = 1")
    before = run_key(nb, CONFIG)
    assert changed(before, run_key(nb, replace(CONFIG, seed=4))) == {"parameters"}
    assert changed(before, run_key(nb, replace(CONFIG, threads=2))) == {"parameters"}
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.avi").write_bytes(b"frames")
    one, two = (run_key(nb, replace(CONFIG, root=tmp_path / name)) for name in ("here", "there"))
    assert one == two
    assert "data" in changed(before, one)


def test_workers_are_effort_and_no_input():
    @dataclass(frozen=True, kw_only=True)
    class Config(ToyConfig):
        workers: int = param(2, help="processes")

    few, many = (run_key(cells("x = 1"), resolve(Config, {"workers": n})) for n in (0, 9))
    assert few == many


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A library of its own: a imports b, c stands alone, claims has its table beside it."""
    folder = tmp_path / "lib" / "redistill"
    folder.mkdir(parents=True)
    texts = {"__init__": "", "a": "from redistill import b", "b": "x = 1", "c": "y = 1"}
    for name, text in {**texts, "claims": "z = 1"}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "claims.toml").write_text("[[claim]]")
    monkeypatch.setattr(source, "_ROOT", folder)
    return folder


@pytest.mark.parametrize("importing", ["from redistill.a import b as q", "!ls\nimport redistill.a"])
def test_source_in_reach_of_the_cells_counts(package, importing):
    nb = cells("x = 1", importing)
    before = run_key(nb, CONFIG)
    (package / "c.py").write_text("y = -1")
    (package / "claims.toml").write_text("")
    assert changed(before, run_key(nb, CONFIG)) == set()
    (package / "b.py").write_text("x = -1")
    assert changed(before, run_key(nb, CONFIG)) == {"source"}


def test_the_ledger_counts_where_it_is_read(package):
    nb = cells("from redistill.claims import z")
    before = run_key(nb, CONFIG)
    (package / "claims.toml").write_text("")
    assert changed(before, run_key(nb, CONFIG)) == {"source"}


def test_source_in_reach_of_the_config_counts(package, tmp_path, monkeypatch):
    module = tmp_path / "somebodys.py"
    module.write_text("class Config:\n    def y(self):\n        from redistill.c import y\n")
    monkeypatch.syspath_prepend(tmp_path)
    from_module = import_module("somebodys").Config
    before = key.source_part(cells("x = 1"), from_module())
    (package / "c.py").write_text("y = -1")
    library = key.source_part(cells("x = 1"), from_module())
    module.write_text(module.read_text() + "# changed")
    assert len({before, library, key.source_part(cells("x = 1"), from_module())}) == 3


def test_a_cell_that_is_no_python_changes_nothing_but_the_cells():
    plain, broken = run_key(cells("x = 1"), CONFIG), run_key(cells("x = = 1"), CONFIG)
    assert changed(plain, broken) == {"cells"}


def test_versions_count(monkeypatch):
    nb = cells("x = 1")
    before = run_key(nb, CONFIG)
    monkeypatch.setattr(key, "software", lambda: {"python": "3.14"})
    assert changed(before, run_key(nb, CONFIG)) == {"environment"}


def test_a_memo_gives_the_same_keys():
    notebooks = [cells("import redistill.rows"), cells("import redistill.files")]
    configs = [CONFIG, replace(CONFIG, seed=4)]
    memo = {}
    shared = [run_key(nb, config, memo=memo) for nb in notebooks for config in configs]
    assert shared == [run_key(nb, config) for nb in notebooks for config in configs]
    assert len({one.value for one in shared}) == 4


@pytest.fixture
def clips(tmp_path, cache):
    """A folder of files that settled an hour ago."""
    folder = tmp_path / "clips"
    for number in range(3):
        write(folder / "walk" / f"{number}.avi", f"clip {number}")
    return folder


def write(path, text, age=3600.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)


def test_names_and_contents_of_all_files_count(clips):
    seen = {hash_content(clips)}
    assert hash_content(clips) in seen
    write(clips / "walk" / "0.avi", "clip X", age=1800)  # of the same size
    seen.add(hash_content(clips))
    (clips / "walk" / "0.avi").rename(clips / "walk" / "9.avi")
    seen.add(hash_content(clips))
    write(clips / "labels.csv", "")
    seen.add(hash_content(clips))
    (clips / "labels.csv").unlink()
    assert hash_content(clips) in seen
    assert len(seen) == 4
    assert hash_content(clips / "none") == ABSENT


def test_a_file_is_read_again_only_if_it_changed(clips, monkeypatch):
    read = []
    real = content.sha256_file
    monkeypatch.setattr(content, "sha256_file", lambda p: read.append(p.name) or real(p))
    first = hash_content(clips)
    assert sorted(read) == ["0.avi", "1.avi", "2.avi"]
    assert hash_content(clips) == first
    assert len(read) == 3
    write(clips / "walk" / "1.avi", "clip X", age=1800)
    assert hash_content(clips) != first
    assert read[3:] == ["1.avi"]


def test_a_file_written_this_moment_is_not_trusted_to_stay(clips):
    path = clips / "walk" / "0.avi"
    write(path, "now A", age=0)
    moment = path.stat().st_mtime_ns
    first = hash_content(clips)
    path.write_text("now B")
    os.utime(path, ns=(moment, moment))  # as on a disk with coarse times
    assert hash_content(clips) != first


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"x": 3}'])
def test_what_is_remembered_may_be_damaged_or_gone(clips, cache, damage):
    first = hash_content(clips)
    (cache / "contents.json").write_text(damage)
    assert hash_content(clips) == first


def test_linked_folders_count_and_a_circle_ends(clips, tmp_path):
    write(tmp_path / "elsewhere" / "3.avi", "clip 3")
    before = hash_content(clips)
    (clips / "link").symlink_to(tmp_path / "elsewhere")
    (clips / "back").symlink_to(clips)
    after = hash_content(clips)
    assert after != before
    write(tmp_path / "elsewhere" / "3.avi", "clip X", age=1800)
    assert hash_content(clips) != after


@dataclass(frozen=True, kw_only=True)
class PlaceConfig:
    """A config that names weights and runs."""

    PROFILES: ClassVar[dict] = {"quick": {}}
    profile: str = param("quick", help="a set of defaults")
    weights: str = param("", help="initial weights")
    runs: Path | None = param(help="folder of runs")


def test_weights_count_by_content_and_by_name_where_they_are_known(clips):
    nb, path = cells("x = 1"), clips / "walk" / "0.avi"
    drawn = run_key(nb, PlaceConfig())
    named = run_key(nb, PlaceConfig(weights="imagenet"))
    assert changed(drawn, named) == {"parameters"}
    given = run_key(nb, PlaceConfig(weights=str(path)))
    same = run_key(nb, PlaceConfig(weights=str(path.rename(clips / "w.safetensors"))))
    assert given == same
    write(clips / "w.safetensors", "others", age=1800)
    assert changed(same, run_key(nb, PlaceConfig(weights=str(clips / "w.safetensors")))) == {"data"}


def test_of_runs_their_records_count(tmp_path, cache):
    nb = cells("x = 1")
    write(tmp_path / "runs" / "one" / "record.json", "{}")
    before = run_key(nb, PlaceConfig(runs=tmp_path / "runs"))
    write(tmp_path / "runs" / "one" / "report.html", "<html>")
    assert run_key(nb, PlaceConfig(runs=tmp_path / "runs")) == before
    write(tmp_path / "runs" / "two" / "record.json", "{}")
    assert changed(before, run_key(nb, PlaceConfig(runs=tmp_path / "runs"))) == {"data"}
    none = run_key(nb, PlaceConfig())
    assert none.parts["data"] == run_key(nb, PlaceConfig(runs=REFERENCE)).parts["data"]


RUN = (
    "from redistill.record import record\nrecord('epochs', epochs or 0)\nrecord('seed', seed or 0)"
)


def make(path, reports, parameters, config=ToyConfig, **options):
    options |= {"parameters": parameters, "config": config, "progress": False}
    return run_notebook(path, reports=reports, **options)


def test_a_run_is_found_by_its_key_and_only_while_its_record_is_valid(tmp_path, cache):
    path = notebook(tmp_path / "n.ipynb", RUN, "open('big', 'wb').write(bytes(300_000))")
    spent = "import os\nopen(os.environ['REDISTILL_CACHE'] + '/x', 'wb').write(bytes(50_000))"
    nb = nbformat.read(path, 4)
    nb.cells.append(new_code_cell(spent))
    nbformat.write(nb, path)
    write(cache / "old", "x" * 10_000)
    run = make(path, tmp_path / "r", {"epochs": 5})
    wanted = run_key(nbformat.read(path, 4), resolve(ToyConfig, {"epochs": 5}))
    record = read_record(run)
    assert record["key"] == {"value": wanted.value, **wanted.parts}
    assert record["disk"]["cache"] == 50_000
    assert 300_000 < record["disk"]["run"] < 400_000
    assert find_run(tmp_path / "r", wanted.value) == run
    other = run_key(nbformat.read(path, 4), resolve(ToyConfig, {"epochs": 6}))
    assert find_runs(tmp_path / "r", {wanted.value, other.value}) == {wanted.value: run}
    damaged = {name: value for name, value in record.items() if name != "rows"}
    (run / "record.json").write_text(json.dumps(damaged))
    assert find_run(tmp_path / "r", wanted.value) is None


def test_a_run_whose_source_changed_meanwhile_has_no_key(tmp_path, cache, monkeypatch, capsys):
    module = tmp_path / "hasty.py"
    module.write_text((Path(__file__).parents[1] / "run" / "toy.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    config = import_module("hasty").ToyConfig
    path = notebook(tmp_path / "n.ipynb", RUN, f"open({str(module)!r}, 'a').write('# new')")
    run = make(path, tmp_path / "r", {}, config=config)
    assert read_record(run)["key"] is None
    assert "the library source changed while the run was under way" in capsys.readouterr().err


def test_a_run_knows_what_its_notebook_sets_itself(tmp_path, cache):
    path = notebook(tmp_path / "n.ipynb", RUN)
    nb = nbformat.read(path, 4)
    nb.cells[1].source = nb.cells[1].source.replace("epochs = None ", "epochs = 77")
    given = new_code_cell("seed = 9", metadata={"tags": ["injected-parameters"]})
    nb.cells.insert(2, given)  # as in a notebook that was executed before
    nbformat.write(nb, path)
    record = read_record(make(path, tmp_path / "r", {}))
    rows = {row["name"]: row["value"] for row in record["rows"]}
    assert rows == {"epochs": 77, "seed": 0}
    assert (record["parameters"]["epochs"], record["parameters"]["seed"]) == (77, None)
    assert record["key"]["cells"] == record["notebook_hash"]
    nb.cells[1].source = "profile = 'quick'"
    nbformat.write(nb, path)
    with pytest.raises(ConfigError, match="lacks"):
        make(path, tmp_path / "r", {})


def test_records_of_before_are_valid_and_bad_keys_are_not(tmp_path):
    (old, *_) = sorted(REFERENCE.glob("*/record.json"))
    record = json.loads(old.read_text())
    assert "key" not in record
    assert read_record(old.parent)
    whole = dict.fromkeys(("value", "cells", "parameters", "source", "data", "environment"), "0")
    for good in ({}, {"key": None}, {"key": whole}, {"disk": {"run": 1, "cache": 0}}):
        (tmp_path / "record.json").write_text(json.dumps(record | good))
        assert read_record(tmp_path)
    for bad in (
        {"key": "0"},
        {"key": {"value": "0"}},
        {"key": whole | {"value": None}},
        {"key": whole | {"more": "0"}},
        {"disk": None},
        {"disk": {"run": 1}},
        {"disk": {"run": "1", "cache": 0}},
    ):
        (tmp_path / "record.json").write_text(json.dumps(record | bad))
        with pytest.raises(RunError, match=r"not a valid record: (key|disk) = "):
            read_record(tmp_path)


def test_bytes_written_since_a_moment(tmp_path):
    write(tmp_path / "a" / "old", "x" * 1000, age=100)
    write(tmp_path / "a" / "b" / "new", "x" * 30, age=0)
    assert folder_bytes(tmp_path) == 1030
    assert folder_bytes(tmp_path, since=time.time() - 50) == 30
    assert folder_bytes(tmp_path / "none") == 0
