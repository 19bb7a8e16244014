"""Fresh rows and figure tables against saved ones, within the saved tolerances.

Each function returns one message for each difference: what, saved value, new value, tolerance.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]


def compare_rows(saved: Sequence[Entry], new: Sequence[Entry]) -> list[str]:
    """Compare the typed rows of one cell; their order does not matter, their number does."""
    return _matched("row", saved, new, _row_name, _compare_row)


def compare_figures(saved: Sequence[Entry], new: Sequence[Entry]) -> list[str]:
    """Compare the tables behind the figures of one cell; the pictures are not looked at."""
    return _matched("figure", saved, new, lambda entry: f"{entry.get('name')}", _compare_figure)


def differs(saved: Any, new: Any, entry: Entry) -> str:
    """Say how ``new`` differs from ``saved`` under the tolerances of ``entry``; "" if it may.

    Free values need the same kind only; without tolerance, values must be equal.  A bool is no
    number, and an int equals the float of its value.
    """
    if _kind(saved) != _kind(new):
        return f"saved {saved!r}, now {new!r}: another type"
    if entry.get("free") or saved == new:
        return ""
    atol, rtol = entry.get("atol") or 0.0, entry.get("rtol") or 0.0
    if _kind(saved) != "number" or not (atol or rtol):
        return f"saved {saved!r}, now {new!r}; must be equal"
    allowed, off = atol + rtol * abs(saved), abs(new - saved)
    if math.isfinite(off) and off <= allowed:
        return ""
    return f"saved {saved!r}, now {new!r}: off by {off:.3g}, allowed {allowed:.3g}"


def _matched(kind: str, saved: Any, new: Any, name: Any, compare: Any) -> list[str]:
    """Pair entries of one name in their order, and compare each pair."""
    old, fresh = _by_name(saved, name), _by_name(new, name)
    messages = []
    for key in dict.fromkeys([*old, *fresh]):
        a, b = old.get(key, []), fresh.get(key, [])
        if len(a) != len(b):
            what = "missing" if len(a) > len(b) else "not in the saved notebook"
            messages.append(f"{kind} {key}: {what} (saved {len(a)}, now {len(b)})")
        for one, other in zip(a, b, strict=False):
            messages += [f"{kind} {key}: {text}" for text in compare(one, other)]
    return messages


def _by_name(entries: Sequence[Entry], name: Any) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(name(entry), []).append(entry)
    return found


def _row_name(row: Entry) -> str:
    keys = row.get("keys") or {}
    return " ".join([f"{row.get('name')}", *(f"{key}={keys[key]!r}" for key in sorted(keys))])


def _compare_row(saved: Entry, new: Entry) -> list[str]:
    exact = [
        f"{field} saved {saved.get(field)!r}, now {new.get(field)!r}; must be equal"
        for field in ("unit", "n")
        if saved.get(field) != new.get(field)
    ]
    value = differs(saved.get("value"), new.get("value"), saved)
    return [*exact, *([f"value {value}"] if value else [])]


def _compare_figure(saved: Entry, new: Entry) -> list[str]:
    columns, rows = list(saved.get("columns") or ()), list(saved.get("rows") or ())
    if columns != list(new.get("columns") or ()):
        return [f"columns saved {columns}, now {list(new.get('columns') or ())}"]
    fresh = list(new.get("rows") or ())
    if len(rows) != len(fresh):
        return [f"table saved with {len(rows)} rows, now {len(fresh)}"]
    cells = (
        (index, column, differs(a, b, saved))
        for index, pair in enumerate(zip(rows, fresh, strict=True))
        for column, a, b in zip(columns, *pair, strict=False)
    )
    return [f"row {index}, {column}: {text}" for index, column, text in cells if text]


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__
