"""A batch as it is written down: its runs, their keys and the names of their folders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from redistill.batch.found import keys_of
from redistill.batch.lock import BATCHES, batches_folder, refuse_second
from redistill.batch.spec import RunSpec
from redistill.errors import RedistillError, RunError
from redistill.files import read_json, sha256_json, slug, write_json
from redistill.running.status import now

FILE = "batch.json"
EXECUTORS = ("local", "slurm")
_VERSION = 1
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a batch: its number, counted from 1, what it runs, its key, its folder's name."""

    number: int
    spec: RunSpec
    key: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Runs that were asked for together.

    Attributes:
        folder: its own, below ``reports``/batches.
        reports: where its runs go.
        jobs: in the order in which they start.
        executor: one of ``EXECUTORS``.
        created: ISO 8601 in UTC; attempts that began earlier are not of this batch.
    """

    folder: Path
    reports: Path
    jobs: tuple[Job, ...]
    executor: str
    created: str


def new_batch(reports: Path, specs: Sequence[RunSpec], executor: str) -> Batch:
    """Write down a batch of runs in a folder of its own; nothing starts yet.

    Raises:
        RedistillError: a notebook or parameter that cannot be, a folder that cannot be written,
            or another local batch at work there.
    """
    from redistill.running.run_folder import new_folder  # a second to import

    reports = Path(reports).absolute()
    if executor == "local":
        refuse_second(reports)
    jobs = _jobs(specs)
    created = now()
    stamp = f"{datetime.fromisoformat(created):%Y%m%dT%H%M%SZ}"
    first = f"{stamp}-{sha256_json([job.key for job in jobs])[:8]}"
    names = [first, *(f"{first}-{number}" for number in range(2, 100))]
    folder = new_folder(batches_folder(reports), names)
    batch = Batch(folder=folder, reports=reports, jobs=jobs, executor=executor, created=created)
    about = {"version": _VERSION, "executor": executor, "created": created}
    write_json(folder / FILE, {**about, "jobs": [_to_json(job) for job in jobs]})
    return batch


def load_batch(folder: Path) -> Batch:
    """Return the batch that ``new_batch`` wrote.

    Raises:
        RunError: there is none, or its file is not whole and sound.
    """
    folder = Path(folder).absolute()
    path = folder / FILE
    if not path.is_file():
        raise RunError(f"no batch in {folder}: it has no {FILE}")
    try:
        found = read_json(path)
        if found["version"] != _VERSION or found["executor"] not in EXECUTORS:
            raise ValueError(
                f"version {found['version']}, executor {found['executor']!r}; this suite reads "
                f"version {_VERSION} with one of {', '.join(EXECUTORS)}"
            )
        datetime.fromisoformat(found["created"])
        jobs = [_from_json(number, entry) for number, entry in enumerate(found["jobs"], start=1)]
    except (RedistillError, ValueError, TypeError, KeyError) as error:
        about = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise RunError(f"{path} is not a batch of this suite: {about}") from error
    return Batch(
        folder=folder,
        reports=folder.parent.parent,
        jobs=tuple(jobs),
        executor=found["executor"],
        created=found["created"],
    )


def batches_in(reports: Path) -> list[Path]:
    """Return the folders of the batches in ``reports``, oldest first."""
    return [path.parent for path in sorted((Path(reports) / BATCHES).glob(f"*/{FILE}"))]


def _jobs(specs: Sequence[RunSpec]) -> tuple[Job, ...]:
    jobs = []
    for number, (spec, key) in enumerate(zip(specs, keys_of(specs), strict=True), start=1):
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", spec.notebook.stem).lstrip("._-")[:80]
        name = slug(f"{stem or 'notebook'}-{key.value[:12]}")
        jobs.append(Job(number=number, spec=spec, key=key.value, name=name))
    return tuple(jobs)


def _to_json(job: Job) -> dict[str, Any]:
    return {
        "notebook": str(job.spec.notebook),
        "given": dict(job.spec.given),
        "cell_timeout": job.spec.cell_timeout,
        "budget": job.spec.budget,
        "key": job.key,
        "name": job.name,
    }


def _from_json(number: int, entry: Mapping[str, Any]) -> Job:
    limits = {name: entry[name] for name in ("cell_timeout", "budget")}
    given, notebook, key = entry["given"], Path(entry["notebook"]), entry["key"]
    if not all(value is None or type(value) in (int, float) for value in limits.values()):
        raise ValueError(f"run {number}: limits {limits}, expected seconds or null")
    if not isinstance(given, dict) or not notebook.is_absolute() or not _KEY.fullmatch(key):
        raise ValueError(f"run {number}: given, notebook or key is not what it should be")
    spec = RunSpec(notebook=notebook, given=given, **limits)
    return Job(number=number, spec=spec, key=key, name=slug(entry["name"]))
