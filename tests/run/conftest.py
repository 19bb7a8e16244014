"""What the tests of runs share: the toy's command line as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start ``redistill`` with the toy config in ``tmp_path``; what is left over is killed."""
    started = []

    def start(*arguments: object, **options: object) -> subprocess.Popen:
        command = [sys.executable, str(HERE / "toy.py"), *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": str(HERE)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # A suite started in the background inherits deafness to SIGINT; these runs must hear it.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        process = subprocess.Popen(command, cwd=tmp_path, env=env, **pipes, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 20) -> object:
    """Return what ``condition`` returns once it is true, or fail."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail("waited in vain")


def kernel_pid(reports: Path) -> int:
    """Wait until a cell has written its kernel's pid into the folder it works in; return it."""

    def found() -> int | None:
        texts = [path.read_text() for path in reports.glob("*/scratch/pid")]
        return int(texts[0]) if texts and texts[0].endswith("\n") else None

    return wait_for(found)


PID = "import os, time\nopen('pid', 'w').write(f'{os.getpid()}\\n')\n"
