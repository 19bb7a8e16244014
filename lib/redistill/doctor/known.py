"""What the records of completed runs tell: times, memory, disk.  No record, no number."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from redistill.errors import RedistillError

REFERENCE = Path(__file__).resolve().parents[3] / "reports" / "reference"
Record = Mapping[str, Any]


def records(folder: Path = REFERENCE, *, notebook: str = "") -> list[Record]:
    """Return the valid records in a folder of runs, of notebooks whose name begins so."""
    from redistill.running.run_record import read_record

    found = []
    for path in sorted(folder.glob("*/record.json")):
        with suppress(RedistillError):  # no valid record, no measurement
            found.append(read_record(path.parent))
    return [one for one in found if one["notebook"].startswith(notebook)]


def by_notebook(found: Sequence[Record], *, profile: str) -> dict[str, list[Record]]:
    """Return the records of a profile by the notebook's name, without those on a GPU."""
    kinds = defaultdict(list)
    for one in found:
        if one["profile"] == profile and not (one["device"] or "").startswith("cuda"):
            kinds[one["notebook"]].append(one)
    return dict(sorted(kinds.items()))


def standard_times(notebook: str = "") -> str:
    """Return from how long to how long the reference runs took, as read; "" if there are none."""
    seconds = [one["seconds"] for one in records(notebook=notebook) if _one_thread(one)]
    if not seconds:
        return ""
    low, high = (round(value / 60) for value in (min(seconds), max(seconds)))
    return f"{low} to {high} minutes with one thread"


def _one_thread(record: Record) -> bool:
    return record["profile"] == "standard" and record["threads"] == 1


def size(nbytes: float) -> str:
    """Return bytes as a person reads them."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e8 else f"{nbytes / 1e6:.0f} MB"
