"""What the scenes have in common: `redistill` and Slurm as a user calls them, and what is left."""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from cluster import wait_until

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "batch"))

from tiny_runs import FEED, RECORD, TRAIN, phases_of, rows_of, write_notebook  # noqa: E402

PATIENCE = 600  # seconds for anything to happen; the machine may be busy


class Lab:
    """A folder with notebooks, a cache and reports, in a cluster."""

    def __init__(self, folder: Path, env: Mapping[str, str], began: float) -> None:
        self.folder, self.reports, self.cache = folder, folder / "reports", folder / "cache"
        folder.mkdir(parents=True)
        self.env = {**env, "REDISTILL_CACHE": str(self.cache), "OMP_NUM_THREADS": "1"}
        self.began = began

    def notebook(self, name: str, *, epochs: int, seconds: float, rate: float = 0.01) -> Path:
        """Write a notebook that trains, says which epochs it trained, and records the weights."""
        tick = f"(print('epoch', line['epoch'], flush=True), time.sleep({seconds}))"
        train = TRAIN.replace("LETTER", name).replace("RATE", str(rate))
        train = train.replace("steps=18", f"steps={3 * epochs}").replace("time.sleep(0.1)", tick)
        assert f"steps={3 * epochs}" in train
        assert tick in train
        return write_notebook(self.folder / f"{name}.ipynb", FEED, train, RECORD)

    def start(self, *arguments: object) -> subprocess.Popen:
        """Start ``redistill`` with its output in a file, which ``output`` reads."""
        command = [sys.executable, "-m", "redistill", *map(str, arguments)]
        out = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=out,
            stderr=out,
            # What is started in the background inherits deafness to SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        process.out = out
        return process

    def batch(self, *arguments: object, executor: str = "slurm") -> subprocess.Popen:
        """Start ``redistill batch``."""
        where = ("--executor", executor, "--reports", self.reports)
        self.last = self.start("batch", *arguments, *where)
        return self.last

    def output(self, process: subprocess.Popen, code: int) -> str:
        """Wait for the end of a command, expect its exit code, and return what it printed."""
        process.wait(timeout=PATIENCE)
        process.out.seek(0)
        said = process.out.read()
        assert process.returncode == code, f"exit {process.returncode}, not {code}:\n{said}"
        return said

    def status(self) -> str:
        """Return what `redistill status` says."""
        return self.output(self.start("status", "--reports", self.reports), 0)

    def slurm(self, *command: object) -> str:
        """Return what a command of Slurm prints."""
        line = list(map(str, command))
        done = subprocess.run(line, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(line)}: {done.stderr}"
        return done.stdout.strip()

    def in_line(self, cores: int, seconds: float) -> None:
        """Let a job of the partition with priority come, which needs that many cores."""
        wait = f"sleep {seconds}"
        self.slurm("sbatch", "-p", "high", "-c", cores, "-o", "/dev/null", "--wrap", wait)

    def ids(self, which: int = -1) -> dict[str, str]:
        """Return Slurm's ids by number of the job, of the newest batch or another."""

        def found() -> dict[str, str] | None:
            paths = sorted(self.reports.glob("batches/*/slurm.json"))
            return paths and json.loads(paths[which].read_text())["jobs"]

        return wait_until(found, PATIENCE, "no batch was submitted")

    def attempts(self, name: str) -> list[Path]:
        """Return the run folders of a notebook, oldest first."""
        folders = [path.parent for path in self.reports.glob(f"{name}-*/status.json")]
        return sorted(folders, key=lambda path: read(path / "status.json")["started"])

    def trained(self, run: Path) -> list[int]:
        """Return the epochs that an attempt has trained itself."""
        cells = nbformat.read(run / "notebook.ipynb", 4).cells
        outputs = (o for c in cells if c.cell_type == "code" for o in c.outputs)
        text = "".join(o.text for o in outputs if o.output_type == "stream")
        return [int(number) for number in re.findall(r"^epoch (\d+)$", text, re.MULTILINE)]

    def results(self) -> tuple[Any, Any]:
        """Return the rows of all records, and the tensors and journals of all trainings."""
        return rows_of(self.reports), phases_of(self.cache)

    def wait_for_epoch(self, name: str, epoch: int) -> Path:
        """Wait until a phase has a checkpoint of that epoch; return the newest attempt.

        A batch that fails meanwhile ends the waiting.
        """

        def reached() -> bool:
            paths = list(self.cache.glob(f"phases/{name}-*/journal.json"))
            if any(len(read(path)["journal"]) >= epoch for path in paths):
                return True
            return self.last.poll() is not None and bool(self.output(self.last, 0))

        wait_until(reached, PATIENCE, f"{name} does not reach epoch {epoch}")
        return self.attempts(name)[-1]

    def wait_for_state(self, name: str, state: str) -> None:
        """Wait until `redistill status` says this of the newest batch's job of a notebook."""
        pattern = re.compile(rf"^ +\d+ {name}\b.*  {state}\b", re.MULTILINE)
        wait_until(lambda: pattern.search(self.status()), PATIENCE, f"{name} is never {state}")

    def tell(self, what: str) -> None:
        """Print what was seen, and when."""
        print(f"{time.monotonic() - self.began:6.1f} s  {what}", flush=True)


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text())
