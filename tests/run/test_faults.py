import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from toy import ToyConfig, notebook

from conftest import PID, kernel_pid, wait_for
from redistill.running.runner import run_notebook
from redistill.running.status import RunStopped, read_status

CHILD = """import subprocess
child = subprocess.Popen(["sleep", "60"])
open("child", "w").write(str(child.pid))
"""
# The pid comes last: who kills at the sight of it must find the line printed and sent.
SLEEP = (
    CHILD + "print('begun', flush=True)\n__import__('time').sleep(0.5)\n" + PID + "time.sleep(60)"
)


def started(launch, tmp_path, *cells, options=(), **process):
    """Start a run of SLEEP between other cells; return the process and the kernel's pid."""
    notebook(tmp_path / "n.ipynb", "x = 1", *(cells or (SLEEP,)), "x = 3")
    run = launch("run", "n.ipynb", "--run-id", "one", "--quiet", *options, **process)
    return run, kernel_pid(tmp_path / "reports")


def ended(run, tmp_path):
    """Wait for the end; return seconds waited, exit code, message, status and states of cells."""
    begun = time.monotonic()
    message = run.communicate(timeout=30)[1]
    waited = time.monotonic() - begun
    folder = tmp_path / "reports" / "one"
    nb = nbformat.read(folder / "notebook.ipynb", 4)
    cells = [c for c in nb.cells if c.cell_type == "code"]
    states = [c.metadata.papermill.status for c in cells]
    for cell, state in zip(cells, states, strict=True):
        assert state != "pending" or (cell.execution_count is None and not cell.outputs)
        assert state != "completed" or cell.execution_count is not None
    assert not (folder / "record.json").exists()
    return waited, run.returncode, message, read_status(folder), states


def gone(pid):
    """Whether a process has ended; an orphan may wait for init to collect it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_killed_kernel_is_told_within_seconds_as_killed(launch, tmp_path):
    run, kernel = started(launch, tmp_path)
    os.kill(kernel, signal.SIGKILL)
    waited, code, message, status, states = ended(run, tmp_path)
    assert waited < 4
    assert code == 3
    assert "killed in cell 3: the kernel was killed by SIGKILL, cause unknown" in message
    assert (status.state, status.cell, status.exit_code) == ("killed", 3, 137)
    assert states == ["completed", "completed", "failed", "pending"]
    nb = nbformat.read(tmp_path / "reports" / "one" / "notebook.ipynb", 4)
    assert nb.cells[3].outputs[0].text == "begun\n"
    child = int((tmp_path / "reports" / "one" / "scratch" / "child").read_text())
    wait_for(lambda: gone(child), seconds=4)


def test_a_killed_runner_is_told_by_the_next_reader_and_leaves_no_kernel(launch, tmp_path):
    # holds the interpreter, so that no thread in the kernel can look for its parent
    run, kernel = started(launch, tmp_path, PID + "sum(range(10**12))")
    run.kill()
    run.wait()
    status = read_status(tmp_path / "reports" / "one")
    assert status.state == "killed"
    assert "the runner died" in status.cause
    assert status.cell == 3
    wait_for(lambda: gone(kernel), seconds=4)
    told = launch("status").communicate()[0]
    assert told.startswith("one  killed in cell 3/4: the runner died")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_runner_says_interrupted_and_ends_its_kernel(launch, tmp_path, number):
    run, kernel = started(launch, tmp_path)
    run.send_signal(number)
    waited, code, message, status, states = ended(run, tmp_path)
    assert waited < 4
    assert code == 128 + number
    assert f"stopped by {number.name}" in message
    assert (status.state, status.exit_code, status.cell) == ("interrupted", 128 + number, 3)
    assert states == ["completed", "completed", "failed", "pending"]
    assert not psutil.pid_exists(kernel)


def test_a_signal_to_the_whole_group_is_an_interruption_too(launch, tmp_path):
    run, kernel = started(launch, tmp_path)
    os.kill(kernel, signal.SIGTERM)
    run.send_signal(signal.SIGTERM)
    _, code, _, status, _ = ended(run, tmp_path)
    assert (code, status.state) == (143, "interrupted")


def test_a_cell_that_takes_too_long_is_a_timeout(launch, tmp_path):
    run, kernel = started(launch, tmp_path, options=("--cell-timeout", "1.2"))
    waited, code, message, status, states = ended(run, tmp_path)
    assert waited < 4
    assert code == 4
    assert "the cell took more than 1.2 s" in message
    assert (status.state, status.cell) == ("timeout", 3)
    assert states[2:] == ["failed", "pending"]
    assert not psutil.pid_exists(kernel)


@pytest.mark.parametrize(
    ("cell", "options", "state", "exit_code", "cause"),
    [
        ("import time\ntime.sleep(60)", {"budget": 1.5}, "timeout", None, "the whole run took"),
        ("import os\nos._exit(0)", {}, "killed", 0, "ended itself with exit code 0"),
        ("import os\nos.kill(os.getpid(), 11)", {}, "killed", 139, "killed by SIGSEGV"),
        (
            "open('/dev/full', 'w', buffering=1).write('x\\n')",
            {},
            *("disk_full", None, "OSError: [Errno 28] No space left on device"),
        ),
    ],
)
def test_an_end_before_the_end_is_told_as_what_it_was(
    tmp_path, cell, options, state, exit_code, cause
):
    path = notebook(tmp_path / "n.ipynb", cell, "import time\ntime.sleep(60)")
    options = {"config": ToyConfig, "progress": False, "run_id": "one", **options}
    with pytest.raises(RunStopped) as error:
        run_notebook(path, parameters={}, reports=tmp_path, **options)
    ending = error.value.ending
    assert (ending.state, ending.exit_code) == (state, exit_code)
    assert cause in ending.cause
    status = read_status(tmp_path / "one")
    assert (status.state, status.cause, status.cell) == (state, ending.cause, ending.cell)
    assert not (tmp_path / "one" / "record.json").exists()


def test_a_limit_on_file_size_leaves_the_last_whole_notebook(launch, tmp_path):
    cell = PID + "print('x' * 200_000)"
    size = (100_000, 100_000)
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, size)}
    run, _ = started(launch, tmp_path, cell, **limit)
    assert run.communicate(timeout=30)[0] is not None
    folder = tmp_path / "reports" / "one"
    assert run.returncode == 5
    assert read_status(folder).state == "disk_full"
    nb = json.loads((folder / "notebook.ipynb").read_text())
    assert nb["cells"][3]["metadata"]["papermill"]["status"] == "running"
    assert not list(folder.glob(".*.tmp"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB as the reports folder."""
    folder = tmp_path / "reports"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_still_gets_its_true_status(launch, tmp_path, small_disk):
    fill = "try:\n    open('junk', 'wb', buffering=0).write(bytes(1 << 20))\nexcept OSError: pass\n"
    run, _ = started(launch, tmp_path, PID + fill + "print('x' * 50_000)")
    _, code, message, status, _ = ended(run, tmp_path)
    assert code == 5
    assert "No space left on device" in message
    assert status.state == "disk_full"


@pytest.fixture
def memory_group():
    """A control group of 400 MB to run in."""
    folder = Path("/sys/fs/cgroup/memory/redistill-test")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(400 << 20))
    except OSError:
        pytest.skip("control groups of version 1 cannot be made here")
    yield folder
    wait_for(lambda: not (folder / "cgroup.procs").read_text())
    folder.rmdir()


def test_a_kernel_killed_for_its_memory_is_told_as_such(launch, tmp_path, memory_group):
    def join():
        (memory_group / "cgroup.procs").write_text(str(os.getpid()))

    run, _ = started(launch, tmp_path, PID + "x = bytearray(b'x') * (2 << 30)", preexec_fn=join)
    waited, code, message, status, _ = ended(run, tmp_path)
    assert waited < 10
    assert code == 3
    assert (status.state, status.exit_code) == ("killed", 137)
    assert "out of memory" in message


def test_plain_papermill_with_our_engine_tells_the_truth(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "import os\nos.kill(os.getpid(), 9)", "x = 3")
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--engine", "redistill", path, out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "killed in cell 2" in done.stderr
    nb = nbformat.read(out, 4)
    states = [c.metadata.papermill.status for c in nb.cells if c.cell_type == "code"]
    assert states == ["completed", "failed", "pending"]
    assert nb.metadata.papermill.exception is True
    assert nb.metadata.papermill.redistill.state == "killed"
