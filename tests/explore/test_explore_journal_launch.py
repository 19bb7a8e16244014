"""A batch launched from a process that is then killed runs to its end; a second one is refused."""

import os
import subprocess
import sys
import time

import pytest
from test_explore_journal_disk import Reader, write_notebook

from redistill.batch.lock import reports_lock
from redistill.errors import RunError
from redistill.explore.detached import launch

PARENT = """
import sys, time
from redistill.explore.detached import launch
launch("tiny.ipynb", "-g", "data_seed", "0", "--slots", "1", reports="reports")
print("launched", flush=True)
time.sleep(600)
"""


def waited(condition, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail("waited in vain")


def test_a_batch_outlives_the_kill_of_its_parent(tmp_path):
    write_notebook(tmp_path / "tiny.ipynb", "import time; time.sleep(0.2)")
    env = os.environ | {"REDISTILL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    env |= {"REDISTILL_RUN_DIR": str(tmp_path)}  # of a run: it must not reach the batch's
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=tmp_path, env=env, stdout=subprocess.PIPE
    )
    assert parent.stdout.readline() == b"launched\n"
    os.killpg(os.getpgid(parent.pid), 0)  # it is in our group, the batch in one of its own
    parent.kill()
    parent.wait()
    parent.stdout.close()
    reader = Reader(tmp_path / "reports")
    waited(lambda: [line.state for line in reader.look().lines] == ["completed"])
    assert [line.about for line in reader.look().lines] == ["tiny data_seed=0"]
    assert len(list((tmp_path / "reports" / "batches").glob("launched-*.log"))) == 1


def test_bad_arguments_are_told(tmp_path):
    launched = launch("no.ipynb", reports=tmp_path / "reports")
    assert f"process {launched.process.pid}" in repr(launched) or "ended" in repr(launched)
    waited(lambda: launched.process.poll() is not None)
    assert repr(launched).startswith("ended with exit code 2: redistill: no notebook")
    assert str(launched.log) in repr(launched)


def test_a_folder_with_a_batch_at_work_is_refused(tmp_path):
    with (
        reports_lock(tmp_path, "first"),
        pytest.raises(RunError, match=r"a batch is at work in .* already.*\(first\)"),
    ):
        launch("any.ipynb", reports=tmp_path)
    assert not list(tmp_path.glob("batches/*.log"))
