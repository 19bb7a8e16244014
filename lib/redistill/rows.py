"""Rows of results: the type, and the file of a run that they are appended to.

One row is one line of JSON, written by one call and synced, so a crash can tear the last line only.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from redistill.errors import RunError
from redistill.running.status import read_status

FILE = "rows.jsonl"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One result.  ``atol`` and ``rtol`` None and not ``free`` means exact when compared."""

    name: str
    value: float | int | str | bool
    unit: str = ""
    n: int | None = None
    atol: float | int | None = None
    rtol: float | int | None = None
    free: bool = False
    keys: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise RunError(f"a row cannot be called {self.name!r}: expected {_NAME.pattern}")
        for each in fields(self):
            if each.name != "keys":
                self._check(
                    each.name, getattr(self, each.name), get_args(each.type) or (each.type,)
                )
        if not isinstance(self.keys, Mapping):
            raise RunError(f"row {self.name}: keys = {self.keys!r}: expected names with values")
        for key, value in self.keys.items():
            self._check(key, value, (str, int))

    def _check(self, name: str, value: Any, kinds: tuple[type, ...]) -> None:
        if type(value) not in kinds or (isinstance(value, float) and not math.isfinite(value)):
            wanted = " or ".join("none" if k is NoneType else k.__name__ for k in kinds)
            raise RunError(f"row {self.name}: {name} = {value!r}: expected {wanted}, finite")

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return asdict(self)

    def brief(self) -> dict[str, Any]:
        """Return the row as JSON without what is as it is by default; ``full`` puts it back."""
        return {k: v for k, v in self.to_json().items() if k not in _BRIEF or v != _BRIEF[k]}

    def text(self) -> str:
        """Return the row as one tidy line."""
        about = ", ".join(f"{key} {value}" for key, value in self.keys.items())
        behind = f"  (n = {self.n})" if self.n is not None else ""
        return f"{self.name}{f' [{about}]' if about else ''}: {self._shown()}{behind}"

    def _shown(self) -> str:
        if isinstance(self.value, float) and self.unit == "fraction":
            return f"{100 * self.value:.1f} %"
        text = f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)
        return f"{text} {self.unit}".rstrip()


_BRIEF = {"unit": "", "n": None, "atol": None, "rtol": None, "free": False, "keys": {}}


def full(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a row from what ``Row.brief`` left of it."""
    return _BRIEF | dict(entry)


def row_from_json(value: Any) -> Row:
    """Return the row that ``to_json`` wrote.

    Raises:
        RunError: it is no row.
    """
    if not isinstance(value, Mapping) or set(value) != {f.name for f in fields(Row)}:
        raise RunError(f"not a row: {str(value)[:200]}")
    return Row(**value)


def append_row(run_dir: Path, row: Row) -> None:
    """Append ``row`` to the run's file, in one write, and sync it."""
    line = (json.dumps(row.to_json(), allow_nan=False) + "\n").encode()
    with (run_dir / FILE).open("ab", buffering=0) as file:
        written = file.write(line)
        os.fsync(file.fileno())
    if written != len(line):
        raise OSError(28, f"only part of a row could be written to {run_dir / FILE}")


def read_rows(run_dir: Path) -> list[Row]:
    """Return the rows of a run, in order.

    A torn last line is left out if the run did not complete, since that is how a crash looks.

    Raises:
        RunError: no run there, or a line that is no row.
    """
    return rows_in(run_dir, torn=read_status(run_dir).state != "completed")


def rows_in(run_dir: Path, *, torn: bool) -> list[Row]:
    """Return the rows in a run's file; ``torn`` allows an incomplete last line."""
    path = Path(run_dir) / FILE
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    if lines.pop() and not torn:
        raise RunError(f"{path}: the last line is torn, though the run completed; run it again")
    return [_row(line, path, number) for number, line in enumerate(lines, start=1)]


def _row(line: bytes, path: Path, number: int) -> Row:
    try:
        return row_from_json(json.loads(line))
    except (ValueError, RunError) as error:
        raise RunError(f"{path}, line {number}: {error}") from error
