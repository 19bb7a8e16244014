"""What changed between two notebooks' outputs, number by number.

``*`` marks what the saved tolerances would not have let pass: there the tests would have turned
red, and whoever stores these outputs should know why they differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from redistill.compare import compare_figures, compare_rows
from redistill.record import FIGURE_MIME, ROW_MIME

EXACT = {"atol": None, "rtol": None, "free": False}
MOST = 12  # lines of a text that changed


def changes(saved: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line for each number, text or cell that differs; both as nbformat 4 JSON."""
    old = {_text(cell["source"]): cell for cell in _code(saved)}
    fresh = {_text(cell["source"]): cell for cell in _code(new)}
    lines = [f"* cell gone: {source.splitlines()[0]}" for source in old if source not in fresh]
    for number, (source, cell) in enumerate(fresh.items(), start=1):
        if source not in old:
            lines.append(f"* cell {number} is new: {source.splitlines()[0]}")
        else:
            lines += [f"{m} cell {number}: {text}" for m, text in _cell(old[source], cell)]
    return lines


def _cell(saved: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (mark, what changed) of one cell."""
    for mime, compare in ((ROW_MIME, compare_rows), (FIGURE_MIME, compare_figures)):
        a, b = _typed(saved, mime), _typed(new, mime)
        beyond = {_subject(text) for text in compare(a, b)}
        for text in compare([one | EXACT for one in a], b):
            subject = _subject(text)
            yield "*" if subject in beyond else " ", text.removesuffix("; must be equal")
    before, after = _rest(saved), _rest(new)
    if before != after:
        diff = list(unified_diff(before, after, lineterm="", n=0))[2:]
        more = [f"… {len(diff) - MOST} lines more"] if len(diff) > MOST else []
        yield "*", "text\n" + "\n".join(f"      {line}" for line in [*diff[:MOST], *more])


def _subject(message: str) -> str:
    """Return which number a message is about: all before "saved"."""
    return message.partition(" saved ")[0].partition(": saved ")[0]


def _code(notebook: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _typed(cell: Mapping[str, Any], mime: str) -> list[dict[str, Any]]:
    return [dict(o["data"][mime]) for o in cell["outputs"] if mime in o.get("data", {})]


def _rest(cell: Mapping[str, Any]) -> list[str]:
    """Return the lines of what is neither typed nor stderr."""
    lines: list[str] = []
    for out in cell["outputs"]:
        data = out.get("data", {})
        if ROW_MIME not in data and FIGURE_MIME not in data and out.get("name") != "stderr":
            lines += _text(out.get("text") or data.get("text/plain", "")).splitlines()
    return lines


def _text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
