"""Runs that are there already, found by their keys."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from redistill.batch.spec import RunSpec
from redistill.errors import RedistillError
from redistill.running.run_record import FILE, read_record

if TYPE_CHECKING:
    from redistill.running.key import RunKey


def find_run(reports: Path, key: str) -> Path | None:
    """Return a run folder directly in ``reports`` whose valid record has this key, if any."""
    return find_runs(reports, [key]).get(key)


def find_runs(reports: Path, keys: Collection[str]) -> dict[str, Path]:
    """Return, for each key that a valid record directly below ``reports`` has, its run folder."""
    found: dict[str, Path] = {}
    for path in sorted(Path(reports).glob(f"*/{FILE}")):
        with suppress(RedistillError, OSError):  # no valid record there
            text = path.read_bytes()
            if any(key.encode() in text for key in keys):  # far quicker than to read each as JSON
                own = read_record(path.parent).get("key") or {}
                if own.get("value") in keys:
                    found.setdefault(own["value"], path.parent)
    return found


def keys_of(specs: Sequence[RunSpec]) -> list["RunKey"]:
    """Return the key of each run, in order.

    Raises:
        RunError: a notebook is not there any more.
    """
    from redistill.running.key import Memo, run_key
    from redistill.running.notebook import read_notebook

    notebooks = {path: read_notebook(path) for path in {spec.notebook for spec in specs}}
    memo: Memo = {}
    return [run_key(notebooks[spec.notebook], spec.config, memo=memo) for spec in specs]
