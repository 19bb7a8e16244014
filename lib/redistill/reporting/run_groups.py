"""The runs of an index in groups: those that do not count first, then what was done how often."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redistill.reporting.pages import Run

FOLDED = 12  # from so many runs on, groups of sound ones are folded
_ATTEMPT = re.compile(r"(.+-[0-9a-f]{12})(?:-(\d+))?")  # of a job of a batch, by its folder's name


@dataclass(frozen=True)
class Stopped:
    """A run that does not count, and what became of its job since."""

    run: Run
    since: Run | None  # an attempt of the same job that completed

    @property
    def where(self) -> str:
        """Where it stopped: the code cell, and the exit code of its kernel."""
        status = self.run.status
        cell, cells, code = (status.get(key) for key in ("cell", "cells", "exit_code"))
        of = f" of {cells}" if cells else ""
        said = [f"cell {cell}{of}" if cell else "", f"exit code {code}" if code is not None else ""]
        return ", ".join(filter(None, said))


def stopped(runs: Sequence[Run]) -> list[Stopped]:
    """Return the runs that do not count, in the order given."""
    done = {_job(run): run for run in reversed(runs) if not run.invalid}
    return [Stopped(run, done.get(_job(run))) for run in runs if run.invalid]


def groups(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the sound runs by notebook, profile and data, in the order given."""
    found: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        if not run.invalid:
            found.setdefault((_notebook(run.record), run.profile, run.data), []).append(run)
    few = sum(map(len, found.values())) < FOLDED
    return [
        {"title": ", ".join(filter(None, where)), "runs": part, "open": few}
        for where, part in sorted(found.items())
    ]


def _job(run: Run) -> str:
    match = _ATTEMPT.fullmatch(run.id)
    return match[1] if match else run.id


def _notebook(record: Mapping[str, Any]) -> str:
    return str(record["notebook"]).rsplit("/", 1)[-1].removesuffix(".ipynb")
