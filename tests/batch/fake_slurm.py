"""Commands of our own in the place of Slurm's, and a batch to give to them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from redistill import configs
from redistill.batch import slurm_follow
from redistill.batch.job import JobState, new_batch
from redistill.batch.spec import grid
from redistill.config import param
from redistill.config_text import parameters_cell
from redistill.running.status import now, running, write_status


@dataclass(frozen=True, kw_only=True)
class Small:
    """A config with threads."""

    PROFILES: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {}}

    profile: str = param("quick", help="a set of defaults")
    seed: int = param(0, help="seed")
    threads: int = param(1, help="CPU threads", low=1)


class Silent:
    """A watch that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[int, JobState]] = []

    def tick(self, states) -> None:
        self.told.append(dict(states))

    def close(self) -> None:
        pass


class FakeSlurm:
    """Commands of Slurm's names: sbatch keeps what it gets, squeue says what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.command("sbatch", f'cp "$1" {folder}/script; echo Submitted batch job 7')
        self.command("srun", "true")
        self.command("scontrol", "true")
        self.queue("")

    def command(self, name: str, body: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def queue(self, *lines: str) -> None:
        (self.folder / "queue").write_text("".join(f"{line}\n" for line in lines))
        self.command("squeue", f"cat {self.folder}/queue")

    @property
    def script(self) -> list[str]:
        path = self.folder / "script"
        return path.read_text().splitlines() if path.exists() else []


def stand_in(folder: Path, monkeypatch) -> FakeSlurm:
    """Put commands of Slurm's names on the path, and a config with threads among the configs."""
    slurm = FakeSlurm(folder / "bin")
    monkeypatch.setenv("PATH", f"{slurm.folder}:{os.environ['PATH']}")
    monkeypatch.setenv("REDISTILL_CACHE", str(folder / "cache"))
    monkeypatch.setattr(configs, "CONFIGS", {"small": f"{__name__}:Small"})
    for name, seconds in (("_TICK", 0.01), ("_LOOK", 0.02), ("_ASK", 0.02), ("_PATIENCE", 0.2)):
        monkeypatch.setattr(slurm_follow, name, seconds)
    return slurm


def make_batch(folder: Path, *seeds: str):
    path = folder / "n.ipynb"
    first = new_code_cell(parameters_cell(Small), metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[first], metadata={"redistill": {"config": "small"}}), path)
    specs = grid([path], [("threads", "2")], [("seed", seeds)])
    return new_batch(folder / "reports", specs, "slurm")


def end(batch, number: int, state: str, cause: str = "") -> None:
    """Let the job's first attempt have ended so; a completed one without what makes it count."""
    folder = batch.reports / batch.jobs[number - 1].name
    folder.mkdir(exist_ok=True)
    status = running()
    write_status(folder, type(status)(**{**vars(status), "state": state, "cause": cause,
                                         "ended": now()}))  # fmt: skip


def ids_of(batch) -> dict[str, str]:
    return json.loads((batch.folder / "slurm.json").read_text())["jobs"]
