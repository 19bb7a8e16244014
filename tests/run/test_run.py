import asyncio
import json
import re
import subprocess
import threading
from pathlib import Path

import nbformat
import pytest
from toy import ToyConfig, notebook

from conftest import HERE
from redistill.errors import ConfigError, RedistillError, RunError
from redistill.files import sha256_json, slug
from redistill.record import read_rows
from redistill.running.environment import git_state
from redistill.running.run_folder import default_names
from redistill.running.run_record import read_record
from redistill.running.runner import run_notebook
from redistill.running.status import RunStopped, read_status

CONFIGURE = f"""import os, sys
sys.path.insert(0, {str(HERE)!r})
from toy import ToyConfig
from redistill.config import configure
config = configure(ToyConfig, globals())"""
RECORD = """from redistill.record import note_data, record
record("epochs", config.epochs, arm="kd")
record("root", str(config.root))
record("threads", os.environ["OMP_NUM_THREADS"])
note_data(manifest="abc", sealed_reads=1)"""


def start(path, reports, **options):
    options = {"parameters": {}, "config": ToyConfig, "progress": False, **options}
    return run_notebook(path, reports=reports, **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One completed run; its notebook has saved outputs of another time."""
    folder = tmp_path_factory.mktemp("done")
    path = notebook(folder / "toy.ipynb", CONFIGURE, RECORD, "", "big = bytearray(60 << 20)")
    nb = nbformat.read(path, 4)
    nb.cells[2].execution_count = 9
    nbformat.write(nb, path)
    given = {"epochs": 7, "root": folder / "clips", "sizes": (4, 5), "threads": 2, "seed": None}
    before = path.read_bytes()
    run = start(path, folder / "a {reports} folder", parameters=given)
    assert path.read_bytes() == before
    return run


def test_a_run_leaves_its_files_and_nothing_else(done):
    kept = "data.json environment.json notebook.ipynb parameters.json record.json rows.jsonl "
    assert sorted(p.name for p in done.iterdir()) == [*kept.split(), "status.json"]
    assert done.name.startswith("toy-2")
    assert read_status(done).state == "completed"
    assert read_status(done).ended is not None


def test_the_notebook_computed_with_the_parameters_given(done):
    rows = {row.name: row for row in read_rows(done)}
    assert rows["epochs"].value == 7
    assert rows["epochs"].keys == {"arm": "kd"}
    assert Path(rows["root"].value) == done.parent.parent / "clips"
    assert rows["threads"].value == "2"


def test_the_record_holds_what_a_reader_needs(done):
    record = read_record(done)
    assert record["parameters"]["epochs"] == 7
    assert record["parameters"]["temperature"] == 4.0
    assert set(record["given"]) == {"epochs", "root", "sizes", "threads"}
    assert record["data"] == {"manifest": "abc", "sealed_reads": 1}
    assert record["config_hash"] == sha256_json(record["parameters"])
    assert json.loads((done / "parameters.json").read_text()) == record["parameters"]
    assert len(record["rows"]) == 3
    assert len(record["cell_seconds"]) == 5
    assert 60 << 20 < record["peak_memory"] < 1 << 30
    assert record["seconds"] > 0
    assert record["device"] == "cpu"
    assert record["versions"]["papermill"]
    assert record["ffmpeg"]["libavcodec"]


def test_a_damaged_record_does_not_count(done, tmp_path):
    whole = read_record(done)
    for name, value in [("rows", {}), ("seconds", "long"), ("status", "failed"), ("version", 2)]:
        (tmp_path / "record.json").write_text(json.dumps({**whole, name: value}))
        with pytest.raises(RunError, match=name):
            read_record(tmp_path)
    for name in whole.keys() - {"key", "disk"}:  # which older records lack
        (tmp_path / "record.json").write_text(json.dumps({**whole, name: None, "device": []}))
        with pytest.raises(RunError):
            read_record(tmp_path)
        without = {k: v for k, v in whole.items() if k != name}
        (tmp_path / "record.json").write_text(json.dumps(without))
        with pytest.raises(RunError, match=f"lacks '{name}'"):
            read_record(tmp_path)


def test_the_saved_notebook_is_marked_as_it_ran(done):
    nb = nbformat.read(done / "notebook.ipynb", 4)
    assert {cell.metadata.papermill.status for cell in nb.cells} == {"completed"}
    counts = [cell.execution_count for cell in nb.cells if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4, None, 5]


def test_an_error_in_the_notebook_is_failed_with_cell_and_name(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "print('before')", "{}['lost']", "x = 3")
    with pytest.raises(RunStopped) as error:
        start(path, tmp_path / "r", run_id="one")
    assert error.value.ending.state == "failed"
    assert error.value.ending.cell == 3
    assert error.value.ending.cause == "KeyError: 'lost'"
    assert error.value.folder == tmp_path / "r" / "one"
    nb = nbformat.read(tmp_path / "r" / "one" / "notebook.ipynb", 4)
    states = [c.metadata.papermill.status for c in nb.cells if c.cell_type == "code"]
    assert states == ["completed", "completed", "failed", "pending"]
    assert nb.cells[-1].execution_count is None
    assert nb.cells[3].outputs[-1].ename == "KeyError"
    assert not (tmp_path / "r" / "one" / "record.json").exists()


def test_a_torn_row_keeps_a_run_from_completing(tmp_path):
    tear = "import os\nopen(os.environ['REDISTILL_RUN_DIR'] + '/rows.jsonl', 'a').write('{\"na')"
    with pytest.raises(RunStopped, match="torn"):
        start(notebook(tmp_path / "n.ipynb", tear), tmp_path, run_id="one")
    assert read_status(tmp_path / "one").state == "failed"
    assert not (tmp_path / "one" / "record.json").exists()


def test_two_runs_at_once_get_a_folder_each(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "from redistill.record import record", "record('x', 1)")
    runs, errors = [], []

    def one():
        try:
            runs.append(start(path, tmp_path / "r"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(runs)) == 2
    for run in runs:
        assert read_status(run).state == "completed"
        assert [row.name for row in read_rows(run)] == ["x"]


@pytest.mark.parametrize("run_id", ["../x", "/tmp/x", "a/b", "", ".hidden", "x" * 200, "a\nb"])
def test_a_run_cannot_leave_its_reports_folder(tmp_path, run_id):
    path = notebook(tmp_path / "n.ipynb")
    with pytest.raises(RedistillError, match="cannot name a file"):
        start(path, tmp_path / "r", run_id=run_id)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["n.ipynb"]


def test_a_folder_that_exists_is_never_used_again(tmp_path):
    (tmp_path / "r" / "one").mkdir(parents=True)
    with pytest.raises(RunError, match="exists already"):
        start(notebook(tmp_path / "n.ipynb"), tmp_path / "r", run_id="one")
    assert list((tmp_path / "r" / "one").iterdir()) == []


def test_nothing_is_made_for_a_bad_parameter(tmp_path):
    with pytest.raises(ConfigError, match="'temperature'"):
        start(notebook(tmp_path / "n.ipynb"), tmp_path / "r", parameters={"temprature": 2})
    assert not (tmp_path / "r").exists()


def test_what_is_no_notebook_is_named(tmp_path):
    (tmp_path / "near.ipynb").write_text("{}")
    (tmp_path / "text.ipynb").write_text("no json")
    for name, words in [("absent", "there are near.ipynb"), ("near", "not a"), ("text", "not a")]:
        with pytest.raises(RunError, match=words):
            start(tmp_path / f"{name}.ipynb", tmp_path / "r")


def test_a_notebook_without_a_parameters_cell_is_refused(tmp_path):
    with pytest.raises(RunError, match='0 code cells tagged "parameters"'):
        start(notebook(tmp_path / "n.ipynb", tagged=False), tmp_path / "r")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/r.*--reports"):
        start(notebook(tmp_path / "n.ipynb"), tmp_path / "file" / "r")


def test_names_of_runs_are_plain_even_if_the_notebooks_is_not():
    first, second, *_ = default_names(Path("a/..ü {x}.ipynb"), "0123456789")
    assert re.fullmatch(r"x_-2\d{7}T\d{6}Z-01234567", first)
    assert slug(first) == first
    assert second == f"{first}-2"


def test_a_run_can_be_started_from_inside_a_notebook(tmp_path):
    async def cell():
        return start(notebook(tmp_path / "n.ipynb"), tmp_path / "r")

    assert read_status(asyncio.run(cell())).state == "completed"


def test_the_git_state_is_of_the_librarys_repository(tmp_path):
    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    clean = git_state(tmp_path / "lib")
    assert clean["dirty"] is False
    assert len(clean["commit"]) == 40
    (tmp_path / "lib" / "a.py").write_text("x = 1\n")
    assert git_state(tmp_path / "lib") == {**clean, "dirty": True}
    (tmp_path / ".gitignore").write_text("lib/\n")
    (tmp_path / "lib" / "site").mkdir()
    assert git_state(tmp_path / "lib" / "site") == {"commit": None, "dirty": None}
