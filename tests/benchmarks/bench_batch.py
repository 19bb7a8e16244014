"""Time batches against the ideal packing of their own runs, and the runner against bare papermill.

The runs of the batch sleep, so that the queue is measured and not the cores.  Run by
``make bench``; exits with 1 when a limit is broken.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from redistill.batch.job import new_batch
from redistill.batch.local import run_local
from redistill.batch.slots import Slot
from redistill.batch.spec import grid
from redistill.batch.watch import BatchWatch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "batch"))

from tiny_runs import write_notebook  # noqa: E402

LIMITS = {"makespan": 1.1, "overhead": 1.5}
SECONDS = (60, 75, 62, 66)  # of the runs of the batch
SLOTS, REPEATS = 2, 7
PAPERMILL = "import sys; from papermill import execute_notebook as run; run(*sys.argv[1:])"
RUNNER = """import sys
from pathlib import Path
from redistill.running.runner import run_notebook
run_notebook(Path(sys.argv[1]), parameters={}, reports=Path(sys.argv[2]), progress=False)
"""
CELLS = ("import time, math", *("time.sleep(0.2)\nprint(math.pi)",) * 5)


def ideal(seconds: list[float], slots: int) -> float:
    """Return the shortest time in which the slots can do the runs, by trying every way."""
    ways = product(range(slots), repeat=len(seconds))
    return min(
        max(sum(s for s, at in zip(seconds, way, strict=True) if at == slot) for slot in set(way))
        for way in ways
    )


def makespan(folder: Path) -> tuple[float, list[float]]:
    """Return the seconds of a batch, and of its runs as their records have them."""
    paths = [
        write_notebook(folder / f"n{number}.ipynb", f"import time\ntime.sleep({seconds})")
        for number, seconds in enumerate(SECONDS)
    ]
    batch = new_batch(folder / "reports", grid(paths, [], []), "local")
    watch = BatchWatch(batch, slots=SLOTS, shown=False)
    started = time.monotonic()
    run_local(batch, [Slot(number, None) for number in range(SLOTS)], retries=0, watch=watch)
    spent = time.monotonic() - started
    records = batch.reports.glob("*/record.json")
    return spent, [json.loads(path.read_text())["seconds"] for path in records]


def seconds(code: str, *arguments: object) -> float:
    """Return the seconds that a Python process takes."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True, stderr=-3)
    return time.monotonic() - started


def overheads(folder: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of bare papermill and of the runner on one notebook, by turns."""
    path = write_notebook(folder / "short.ipynb", *CELLS)
    bare, ours = [], []
    for _ in range(REPEATS + 1):
        bare.append(seconds(PAPERMILL, path, folder / "out.ipynb"))
        ours.append(seconds(RUNNER, path, folder / "runs"))
    return bare[1:], ours[1:]  # without the first, which warms the files


def main() -> int:
    """Print both figures; return 1 if a limit is broken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["REDISTILL_CACHE"] = str(folder / "cache")
        bare, ours = overheads(folder)
        spent, runs = makespan(folder)
    extra = statistics.median(b - a for a, b in zip(bare, ours, strict=True))
    print(f"{REPEATS} turns of a notebook of {len(CELLS)} cells, each in a process of its own:")
    print(f"    bare papermill {statistics.median(bare):.2f} s", end=", ")
    print(f"runner {statistics.median(ours):.2f} s (medians)")
    print(f"    runner - papermill: {extra:.2f} s  at most {LIMITS['overhead']}")
    best = ideal(runs, SLOTS)
    print(f"a batch of {len(runs)} runs of {min(runs):.0f} to {max(runs):.0f} s on {SLOTS} slots:")
    print(f"    {spent:.1f} s, ideal packing of its runs {best:.1f} s")
    print(f"    batch / ideal: {spent / best:.3f}  at most {LIMITS['makespan']}")
    broken = [name for name, value in (("overhead", extra), ("makespan", spent / best))
              if value > LIMITS[name]]  # fmt: skip
    if broken:
        print(f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
