"""Notebooks of seconds that train a tiny network with a checkpoint each epoch, and their batch."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from safetensors import safe_open

from redistill.config_text import parameters_cell
from redistill.start import StartConfig

FEED = """
import hashlib
import time
import torch
from redistill.feed import Feed
from redistill.nets.streams import build_stream
from redistill.phase import Phase
from redistill.record import record
from redistill.train import run_phase

chance = torch.Generator().manual_seed(data_seed)
labels = torch.arange(24) % 3
noise = torch.randint(60, (1, 24, 2, 2, 16, 16), generator=chance)
views = (noise + 60 * labels.view(1, -1, 1, 1, 1, 1)).to(torch.uint8)
clips = tuple(f"clip{i:02d}" for i in range(24))
feed = Feed(views=views, modality="mv", labels=labels, clips=clips, manifest=f"drawn {data_seed}")
"""
TRAIN = """
net = build_stream("mv", depth=10, width=4, classes=3, seed=data_seed)
phase = Phase(name="LETTER", steps=18, batch=8, lr=RATE, weight_decay=1e-2, seed=data_seed)
trained = run_phase(phase, net, feed, tick=lambda line: time.sleep(0.1))
"""
RECORD = """
for line in trained.journal:
    record("loss", line["loss"], epoch=line["epoch"], data_seed=data_seed)
digest = hashlib.sha256()
for tensor in trained.net.state_dict().values():
    digest.update(tensor.numpy().tobytes())
record("weights", digest.hexdigest(), data_seed=data_seed)
"""
STARTED: list[subprocess.Popen] = []  # batches, so that a test that fails leaves none behind
LETTERS = {"a": 0.01, "b": 0.02, "c": 0.03}


def write_notebook(path: Path, *cells: str, config: str | None = "start") -> Path:
    """Write a notebook: heading, parameters cell, ``cells``."""
    first = new_code_cell(parameters_cell(StartConfig), metadata={"tags": ["parameters"]})
    nb = new_notebook(cells=[new_markdown_cell("# Tiny"), first, *map(new_code_cell, cells)])
    nb.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "P"}
    if config:
        nb.metadata["redistill"] = {"config": config}
    nbformat.write(nb, path)
    return path


def training_notebooks(folder: Path) -> list[Path]:
    """Write three notebooks that differ in the learning rate."""
    return [
        write_notebook(
            folder / f"{letter}.ipynb",
            FEED,
            TRAIN.replace("LETTER", letter).replace("RATE", str(rate)),
            RECORD,
        )
        for letter, rate in LETTERS.items()
    ]


def undisturbed(folder: Path, seeds: list[str]) -> tuple[dict[str, list], dict[str, dict]]:
    """Return rows and phases of all runs, made in this process without a runner or a batch."""
    before = {name: os.environ.get(name) for name in ("REDISTILL_RUN_DIR", "REDISTILL_CACHE")}
    os.environ["REDISTILL_CACHE"] = str(folder / "cache")
    rows = {}
    for path in training_notebooks(folder):
        first, *cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        for seed in seeds:
            run = folder / f"{path.stem}{seed}"
            run.mkdir()
            os.environ["REDISTILL_RUN_DIR"] = str(run)
            names = {}
            for cell in (first, f"data_seed = {seed}", *cells):
                exec(cell, names)
            lines = (run / "rows.jsonl").read_text().splitlines()
            rows[f"{path.name} {seed}"] = [json.loads(line) for line in lines]
    os.environ.update({name: value for name, value in before.items() if value is not None})
    for name in [name for name, value in before.items() if value is None]:
        del os.environ[name]
    return rows, phases_of(folder / "cache")


def rows_of(reports: Path) -> dict[str, list]:
    """Return the rows of each valid record, by notebook and seed."""
    found: dict[str, list] = {}
    for path in reports.glob("*/record.json"):
        record = json.loads(path.read_text())
        name = f"{record['notebook']} {record['parameters']['data_seed']}"
        assert name not in found, f"{name} has two records"
        found[name] = record["rows"]
    return found


def phases_of(cache: Path) -> dict[str, dict]:
    """Return each finished phase: its tensors as bytes, and its journal without times."""
    found = {}
    for path in cache.glob("phases/*/checkpoint.safetensors"):
        with safe_open(path, framework="np") as file:
            tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
            journal = json.loads(file.metadata()["redistill"])["journal"]
        for line in journal:
            del line["seconds"]
        found[path.parent.name] = {"tensors": tensors, "journal": journal}
    return found


def start_batch(
    folder: Path, axes: dict[str, list[str]], *, slots: tuple[str, ...] = ("", ""), retries: int = 0
) -> subprocess.Popen:
    """Start a batch of all notebooks in ``folder`` as a process, with reports and cache there.

    Its exit code is that of the command line; slots are the devices given, whatever the cores.
    """
    command = [sys.executable, __file__, ",".join(slots), str(retries)]
    command += [text for name, values in axes.items() for text in (name, ",".join(values))]
    env = os.environ | {"REDISTILL_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    with (folder / "batch.log").open("ab") as log:
        batch = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # A suite started in the background inherits deafness to SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    STARTED.append(batch)
    return batch


def main(slots: str, retries: str, *axes: str) -> int:
    """Be the command that ``start_batch`` starts, in its folder."""
    from redistill.batch.job import new_batch
    from redistill.batch.local import run_local
    from redistill.batch.slots import Slot
    from redistill.batch.spec import grid
    from redistill.batch.watch import BatchWatch
    from redistill.running.status import RunStopped

    pairs = list(zip(axes[::2], (values.split(",") for values in axes[1::2]), strict=True))
    batch = new_batch(Path("reports"), grid(sorted(Path().glob("*.ipynb")), [], pairs), "local")
    places = [Slot(number, device or None) for number, device in enumerate(slots.split(","))]
    watch = BatchWatch(batch, slots=len(places))
    try:
        run_local(batch, places, retries=int(retries), watch=watch)
    except RunStopped as error:
        print(error, file=sys.stderr)
        return error.ending.exit_code or 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
