"""What a batch must refuse or survive: clear words, nothing lost, nothing executed."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_runs import start_batch, write_notebook

from redistill import cli
from redistill.batch.job import batches_in, job_state, load_batch, new_batch
from redistill.batch.spec import grid
from redistill.errors import RedistillError, RunError
from redistill.feed import Feed
from redistill.nets.streams import build_stream
from redistill.phase import Phase
from redistill.train import run_phase

ROOT = Path(__file__).resolve().parents[2]
FILLS = """try:
    open('junk', 'wb', buffering=0).write(bytes(1 << 22))
except OSError:
    pass
print('x' * 50_000)
"""


@pytest.fixture
def mounted(tmp_path):
    """A small file system of its own as the reports folder."""
    folder = tmp_path / "reports"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def specs(tmp_path, cache):
    return grid([write_notebook(tmp_path / "n.ipynb", "1")], [], [("data_seed", ["0", "1"])])


def test_a_full_disk_lets_no_more_begin_and_is_told(tmp_path, mounted):
    for name in "ab":
        write_notebook(tmp_path / f"{name}.ipynb", f"{name} = 1\n{FILLS}")
    batch = start_batch(tmp_path, {}, slots=("",))
    assert batch.wait(600) == 1
    log = (tmp_path / "batch.log").read_text()
    assert "disk_full: 2 of 2 runs did not complete" in log
    assert "nothing more was started" in log
    assert "b  not started" in log
    made = load_batch(batches_in(mounted)[0])
    states = [job_state(made, job) for job in made.jobs]
    assert [state.state for state in states] == ["disk_full", "waiting"]
    assert "No space left on device" in states[0].cause
    (run,) = mounted.glob("?-*")
    assert not (run / "record.json").exists()


def test_a_read_only_folder_is_told_before_anything_starts(specs, mounted):
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(RunError, match=r"Read-only file system.*--reports"):
        new_batch(mounted, specs, "local")


def test_a_file_in_the_place_of_the_reports_folder_is_told(specs, tmp_path):
    (tmp_path / "reports").write_text("not a folder")
    with pytest.raises(RunError, match=r"Not a directory.*--reports"):
        new_batch(tmp_path / "reports", specs, "local")
    assert (tmp_path / "reports").read_text() == "not a folder"


def test_batches_never_leave_the_reports_folder(specs, tmp_path):
    reports, outside = tmp_path / "reports", tmp_path / "outside"
    reports.mkdir()
    outside.mkdir()
    (reports / "batches").symlink_to(outside)
    with pytest.raises(RedistillError, match="leaves"):
        new_batch(reports, specs, "local")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"name": "../n"}, {"name": "/n"}, {"name": ".n"}, {"notebook": "n.ipynb"}, {"key": "../.."}],
    ids=str,
)
def test_a_batch_file_cannot_name_a_folder_elsewhere(specs, tmp_path, change):
    batch = new_batch(tmp_path / "reports", specs, "local")
    path = batch.folder / "batch.json"
    about = json.loads(path.read_text())
    about["jobs"][1] |= change
    path.write_text(json.dumps(about))
    with pytest.raises(RunError, match="is not a batch of this suite"):
        load_batch(batch.folder)


def test_a_worker_said_to_have_found_a_run_elsewhere_is_not_believed(specs, tmp_path):
    batch = new_batch(tmp_path / "reports", specs, "local")
    sound = next((ROOT / "reports" / "reference").glob("*/record.json"))
    (tmp_path / "n").mkdir()
    shutil.copy(sound, tmp_path / "n")
    (batch.folder / "001.json").write_text('{"found": "../n"}')
    state = job_state(batch, batch.jobs[0])
    assert (state.state, state.folder) == ("failed", None)


def test_a_worker_that_cannot_begin_says_why(specs, tmp_path):
    batch = new_batch(tmp_path / "reports", specs, "local")
    (tmp_path / "n.ipynb").unlink()
    command = [sys.executable, "-m", "redistill.batch.worker", str(batch.folder), "2"]
    assert subprocess.run(command, capture_output=True).returncode == 2
    state = job_state(batch, batch.jobs[1])
    assert state.state == "failed"
    assert "no notebook" in state.cause
    assert job_state(batch, batch.jobs[0]).state == "waiting"


MARK = "open({mark!r}, 'w')"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["n.ipynb", "-p", "wrold", "crossed"], "no parameter 'wrold'. Did you mean 'world'?"),
        (["n.ipynb", "-g", "data_sede", "0", "1"], "Did you mean 'data_seed'?"),
        (["n.ipynb", "-p", "data_seed", "77"], "at most 4"),
        (["m.ipynb"], "no notebook m.ipynb"),
        (["n.ipynb", "elsewhere.ipynb"], "names no config"),
        (["n.ipynb", "other.ipynb"], "'evil'"),
        (["text.ipynb"], "is not a notebook"),
    ],
)
def test_bad_input_is_told_before_anything_is_written(
    tmp_path, monkeypatch, capsys, arguments, told
):
    mark = tmp_path / "executed"
    cell = MARK.format(mark=str(mark))
    write_notebook(tmp_path / "n.ipynb", cell)
    write_notebook(tmp_path / "elsewhere.ipynb", cell, config=None)
    write_notebook(tmp_path / "other.ipynb", cell, config="evil")
    (tmp_path / "text.ipynb").write_text(cell)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["batch", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()
    assert not mark.exists()


class Payload:
    """What a pickle can do to who loads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_malicious_checkpoint_is_refused_and_not_executed(cache, tmp_path, kind):
    labels = torch.arange(6) % 3
    views = torch.zeros(1, 6, 2, 2, 16, 16, dtype=torch.uint8)
    clips = tuple("abcdef")
    feed = Feed(views=views, modality="mv", labels=labels, clips=clips, manifest="m")
    phase = Phase(name="p", steps=1, batch=6, lr=1e-2, weight_decay=0.0, seed=0)

    def train():
        net = build_stream("mv", depth=10, width=4, classes=3, seed=0)
        return run_phase(phase, net, feed)

    train()
    (path,) = cache.glob("phases/*/checkpoint.safetensors")
    mark = tmp_path / "executed"
    evil = tmp_path / "evil.pt"
    if kind == "pickle":
        evil.write_bytes(pickle.dumps(Payload(mark)))
        pickle.loads(evil.read_bytes()).close()
    else:
        torch.save(Payload(mark), evil)
        torch.load(evil, weights_only=False).close()
    shutil.copy(evil, path)
    assert mark.exists()  # so it would
    mark.unlink()
    with pytest.raises(RunError, match=r"is no checkpoint of this suite .*delete it"):
        train()
    assert not mark.exists()
