"""An executed notebook as a list of safe blocks, in order: prose, code, rows, figures, text.

Only plain text, our two row and figure types and validated PNG pictures are taken over.  HTML,
SVG and scripts that a notebook printed are never embedded, whatever wrote them.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from redistill import stats
from redistill.record import FIGURE_MIME, ROW_MIME
from redistill.reporting.markdown import clean, prose
from redistill.rows import full

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_MOST = 8 << 20  # bytes
_SIDE_MOST = 8000  # pixels
_LINES = (150, 50)  # kept at the head and the tail of a long text


@dataclass(frozen=True)
class Block:
    """One piece of a report page."""

    kind: str  # prose | code | rows | figure | text | error | note
    content: Any
    cell: int = 0  # code cell it belongs to, counted from 1; 0 for prose
    ran: bool = True  # False for code that was never reached


@dataclass(frozen=True)
class RowTable:
    """Rows of one name as a table: what they share goes into the caption."""

    name: str
    shared: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]  # keys, then value, interval and n where there are any
    figures: int  # how many of the last columns are numbers


@dataclass(frozen=True)
class Figure:
    """A picture with the table it was drawn from."""

    name: str
    caption: str
    src: str  # data URI of a validated PNG; "" if there is none
    width: int
    height: int
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def blocks(notebook: Mapping[str, Any], *, folder: Path | None = None) -> tuple[Block, ...]:
    """Return the blocks of a notebook (nbformat 4, as read from JSON)."""
    found: list[Block] = []
    code = 0
    for cell in notebook.get("cells", ()):
        about = cell.get("metadata") or {}
        if "papermill-error-cell-tag" in (about.get("tags") or ()):
            continue  # papermill's own HTML about an error; the page tells it itself
        if cell.get("cell_type") == "markdown":
            found.append(Block("prose", prose(joined(cell.get("source")), folder=folder, demote=1)))
        elif cell.get("cell_type") == "code" and joined(cell.get("source")).strip():
            code += 1
            ran = (about.get("papermill") or {}).get("status") != "pending"
            found.append(Block("code", clean(joined(cell.get("source"))), code, ran))
            found.extend(_outputs(cell.get("outputs", ()), code))
    return tuple(found)


def row_tables(rows: Iterable[Mapping[str, Any]]) -> tuple[RowTable, ...]:
    """Group rows by name, in order of first appearance, each group as one table."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["name"], []).append(row)
    return tuple(_row_table(name, group) for name, group in groups.items())


def number(value: Any, unit: str = "") -> str:
    """Write a value for a reader: fractions as per cent, four digits, a true minus sign."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if not isinstance(value, int | float):
        return clean(str(value))
    if unit == "fraction":
        text, unit = f"{100 * value:.1f}", "%"
    elif value % 1 == 0 or abs(value) >= 1e4:
        text = f"{value:,.0f}".replace(",", "\u202f")
    else:
        text = f"{value:.4g}"
    return text.replace("-", "−") + (f"\u00a0{unit}" if unit else "")


def accuracy_interval(row: Mapping[str, Any]) -> str:
    """95 % Wilson interval of a row that is a share of n clips; "" for any other row."""
    value, n = row["value"], row["n"] or 0
    if row["unit"] != "fraction" or n < 1 or isinstance(value, str) or not 0 <= value <= 1:
        return ""
    found = stats.wilson(round(value * n), n)
    return f"{100 * found.low:.0f} to {100 * found.high:.0f}\u00a0%"


def plain(text: str) -> str:
    """Return terminal text without escapes and overwritten progress, at most 200 lines."""
    lines = clean(_ANSI.sub("", text).replace("\r\n", "\n")).split("\n")
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines]
    head, tail = _LINES
    if len(lines) > head + tail:
        gap = f"… {len(lines) - head - tail} lines left out; the notebook holds them …"
        lines = [*lines[:head], gap, *lines[-tail:]]
    return "\n".join(lines).strip("\n")


def png(encoded: str) -> tuple[str, int, int]:
    """Return (data URI, width, height) of a base64 PNG; ("", 0, 0) if it is not a sound one."""
    try:
        raw = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        return "", 0, 0
    sound = raw.startswith(_PNG) and raw[12:16] == b"IHDR" and raw[-8:-4] == b"IEND"
    width, height = int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24])
    fits = 33 < len(raw) <= _PNG_MOST and 0 < width <= _SIDE_MOST and 0 < height <= _SIDE_MOST
    if not (sound and fits):
        return "", 0, 0
    return "data:image/png;base64," + base64.b64encode(raw).decode(), width, height


def _outputs(outputs: Iterable[Mapping[str, Any]], cell: int) -> Iterator[Block]:
    """Take over what is safe; neighbouring rows become tables together."""
    for is_row, group in groupby(outputs, lambda out: ROW_MIME in (out.get("data") or {})):
        if is_row:
            rows = [full(out["data"][ROW_MIME]) for out in group]
            yield from (Block("rows", table, cell) for table in row_tables(rows))
        else:
            yield from (block for out in group if (block := _output(out, cell)))


def _output(out: Mapping[str, Any], cell: int) -> Block | None:
    data = out.get("data") or {}
    if out.get("output_type") == "error":
        trace = "\n".join(out.get("traceback") or ())
        return Block("error", plain(trace or f"{out.get('ename')}: {out.get('evalue')}"), cell)
    if FIGURE_MIME in data or "image/png" in data:
        picture = png(joined(data.get("image/png")))
        return Block("figure", _figure(data.get(FIGURE_MIME, {}), *picture), cell)
    if WIDGET_MIME in data:
        return Block("note", "Interactive in the notebook; it needs a kernel.", cell)
    text = plain(joined(out.get("text") or data.get("text/plain")))  # of a stream, or displayed
    return Block("text", text, cell) if text else None


def _figure(entry: Mapping[str, Any], src: str, width: int, height: int) -> Figure:
    columns = tuple(clean(name) for name in entry.get("columns", ()))
    cells = tuple(tuple(map(number, row)) for row in entry.get("rows", ()))
    name, caption = clean(entry.get("name", "figure")), clean(entry.get("caption", ""))
    return Figure(name, caption, src, width, height, columns, cells)


def _row_table(name: str, rows: Sequence[Mapping[str, Any]]) -> RowTable:
    keys = dict.fromkeys(key for row in rows for key in row["keys"])
    texts = {key: [number(row["keys"].get(key, "")) for row in rows] for key in keys}
    shared = {key: texts[key][0] for key in keys if len(rows) > 1 and len(set(texts[key])) == 1}
    numbers = {"value": [number(row["value"], row["unit"]) for row in rows]}
    if any(intervals := [accuracy_interval(row) for row in rows]):
        numbers["95 % interval"] = intervals
    if any(row["n"] is not None for row in rows):
        numbers["n"] = ["" if row["n"] is None else number(row["n"]) for row in rows]
    table = {key: texts[key] for key in keys if key not in shared} | numbers
    cells = tuple(zip(*table.values(), strict=True))
    return RowTable(clean(name), tuple(shared.items()), tuple(table), cells, len(numbers))


def joined(value: Any) -> str:
    """Join nbformat's multi-line strings; anything that is no text becomes none."""
    return "".join(value) if isinstance(value, list | str) else ""
