"""record.json: all that a completed run found and how, written once, whole, by its runner.

A run without a valid record does not count, whatever else lies in its folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redistill.errors import RedistillError, RunError
from redistill.files import read_json, write_json
from redistill.rows import row_from_json, rows_in
from redistill.running.status import RECORD as FILE

PARTS = ("cells", "parameters", "source", "data", "environment")  # of a key
_VERSION = 1
# Field, its type, and whether it may be null.
_FIELDS: Mapping[str, tuple[type, bool]] = {
    "version": (int, False),
    "status": (str, False),
    "run": (str, False),
    "notebook": (str, False),
    "notebook_hash": (str, False),  # types and sources of its cells, outputs not
    "library_hash": (str, False),
    "config": (str, False),
    "config_hash": (str, False),
    "profile": (str, False),
    "parameters": (dict, False),  # every one, as resolved
    "given": (dict, False),  # those the user gave
    "git": (dict, False),  # commit, dirty
    "versions": (dict, False),
    "ffmpeg": (dict, False),
    "machine": (dict, False),  # host, platform, python, cpu, cores, memory in bytes
    "device": (str, True),
    "threads": (int, True),
    "data": (dict, False),  # what note_data was told: manifest, dropped, sealed reads
    "started": (str, False),
    "ended": (str, False),
    "seconds": (float, False),
    "cell_seconds": (list, False),
    "peak_memory": (int, False),  # bytes, of the kernel and its descendants
    "rows": (list, False),
}
# As above, of records that may lack them: they were added later.
_LATER: Mapping[str, tuple[type, bool]] = {
    "key": (dict, True),  # of its inputs; null if the source changed while the run was under way
    "disk": (dict, False),  # bytes: of the run's folder; of the cache, written while it ran
}


def build_record(run_dir: Path, facts: Mapping[str, Any]) -> None:
    """Write the record of a run whose notebook has run to its end.

    ``facts`` has every field but the rows, the data, the version and the status.

    Raises:
        RunError: a torn or broken row, or facts that do not fit.
    """
    data = run_dir / "data.json"
    record = {
        "version": _VERSION,
        "status": "completed",
        **facts,
        "data": read_json(data) if data.exists() else {},
        "rows": [row.to_json() for row in rows_in(run_dir, torn=False)],
    }
    check_record(record, run_dir / FILE)
    write_json(run_dir / FILE, record)


def read_record(run_dir: Path) -> dict[str, Any]:
    """Return a run's record.

    Raises:
        RunError: there is none, or it is broken, incomplete or ill-typed.
    """
    path = Path(run_dir) / FILE
    if not path.exists():
        raise RunError(f"{run_dir} has no {FILE}: its run did not complete; run it again")
    try:
        record = read_json(path)
    except RedistillError as error:
        raise RunError(str(error)) from error
    check_record(record, path)
    return record


def check_record(record: Any, path: Path) -> None:
    """Raise RunError, naming the field, if ``record`` is not a record of this version."""
    if not isinstance(record, Mapping):
        raise RunError(f"{path} is not a record: expected a JSON object")
    for name, (kind, may_be_null) in {**_FIELDS, **_LATER}.items():
        if name not in record:
            if name in _LATER:
                continue
            raise RunError(f"{path} is not a valid record: it lacks {name!r}")
        value = record[name]
        if not (type(value) is kind or (value is None and may_be_null)):
            raise RunError(
                f"{path} is not a valid record: {name} = {str(value)[:80]!r}, "
                f"expected {kind.__name__}"
            )
    for name, entries in (("key", {"value", *PARTS}), ("disk", {"run", "cache"})):
        found = record.get(name)
        kind = str if name == "key" else int
        if found is not None and {k for k, v in found.items() if type(v) is kind} != entries:
            raise RunError(
                f"{path} is not a valid record: {name} = {str(found)[:80]!r}, "
                f"expected {', '.join(sorted(entries))}, each {kind.__name__}"
            )
    if record["version"] != _VERSION:
        raise RunError(f"{path}: record version {record['version']}, this suite reads {_VERSION}")
    if record["status"] != "completed":
        raise RunError(f"{path}: status {record['status']!r}, a record is of a completed run")
    for row in record["rows"]:
        row_from_json(row)
