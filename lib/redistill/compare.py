"""Fresh rows and figure tables against saved ones, within the saved tolerances.

Each function returns one message for each difference: what, saved value, new value, tolerance.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redistill.rows import full

Entry = Mapping[str, Any]
Entries = Sequence[Entry]
Compare = Callable[[Entry, Entry], list[str]]


def compare_rows(saved: Entries, new: Entries) -> list[str]:
    """Compare the typed rows of one cell; their order does not matter, their number does."""
    return _matched("row", list(map(full, saved)), list(map(full, new)), _compare_row)


def compare_figures(saved: Entries, new: Entries) -> list[str]:
    """Compare the tables behind the figures of one cell; the pictures are not looked at."""
    return _matched("figure", saved, new, _compare_figure)


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


def _matched(kind: str, saved: Entries, new: Entries, compare: Compare) -> list[str]:
    """Pair entries of one name in their order, and compare each pair."""
    old, fresh = _by_name(saved), _by_name(new)
    messages = []
    for name in old | fresh:
        a, b = old[name], fresh[name]
        if len(a) != len(b):
            what = "missing" if len(a) > len(b) else "not in the saved notebook"
            messages.append(f"{kind} {name}: {what} (saved {len(a)}, now {len(b)})")
        for one, other in zip(a, b, strict=False):
            messages += [f"{kind} {name}: {text}" for text in compare(one, other)]
    return messages


def _by_name(entries: Entries) -> defaultdict[str, list[Entry]]:
    """Group entries by name, and rows by their keys too."""
    found = defaultdict(list)
    for entry in entries:
        keys = sorted(entry.get("keys", {}).items())
        found[" ".join([entry["name"], *(f"{k}={v!r}" for k, v in keys)])].append(entry)
    return found


def _compare_row(saved: Entry, new: Entry) -> list[str]:
    exact = [
        f"{field} saved {saved[field]!r}, now {new[field]!r}; must be equal"
        for field in ("unit", "n")
        if saved[field] != new[field]
    ]
    value = differs(saved["value"], new["value"], saved)
    return [*exact, *([f"value {value}"] if value else [])]


def _compare_figure(saved: Entry, new: Entry) -> list[str]:
    columns, rows, fresh = saved["columns"], saved["rows"], new["rows"]
    if columns != new["columns"]:
        return [f"columns saved {columns}, now {new['columns']}"]
    if len(rows) != len(fresh):
        return [f"table saved with {len(rows)} rows, now {len(fresh)}"]
    return [
        f"row {index}, {column}: {text}"
        for index, pair in enumerate(zip(rows, fresh, strict=True))
        for column, a, b in zip(columns, *pair, strict=True)
        if (text := differs(a, b, saved))
    ]


def _kind(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__
