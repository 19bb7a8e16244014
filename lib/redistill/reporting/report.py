"""report.html of one run: what was found, whether to trust it, and how it was made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from redistill.errors import RunError
from redistill.reporting.index import build_index
from redistill.reporting.markdown import clean, title
from redistill.reporting.outputs import Block, Figure, accuracy_interval, blocks, joined, number
from redistill.reporting.pages import Run, flat, load_run, optional_json, write_page

__all__ = ["build_index", "build_report"]

_TILES = 6  # key numbers on the first screen
_STATUS = ("state", "cause", "cell", "cells", "exit_code", "host", "started", "ended")
_HEADINGS = {"ffmpeg": "FFmpeg", "git": "Source code"}
_NAMES = {"iframe": "I-frame", "mv": "motion"}


def build_report(run_dir: Path) -> Path:
    """Write ``run_dir``/report.html, whole or not at all, and return its path.

    A run that did not complete, or has no valid record, gets a page that says so first and
    presents no number as a result.
    """
    if not run_dir.is_dir():
        raise RunError(f"no run folder {run_dir}; give a folder that `redistill run` made")
    run = load_run(run_dir)
    notebook, trouble = _notebook(run_dir / "notebook.ipynb")
    heading = _take_title(notebook)
    parts = blocks(notebook, folder=run_dir)
    up = "../.." if run_dir.resolve().parent.name == "reference" else ".."
    return write_page(
        run_dir / "report.html",
        "report.html.j2",
        run=run,
        index=f"{up}/index.html",
        title=heading or run.id,
        trusted=not run.invalid,
        trouble=trouble,
        tiles=_tiles(run.record.get("rows") or ()),
        hero=_hero(parts) if not run.invalid else None,
        parts=parts,
        sections=_sections(run),
        code=_code,
    )


def _notebook(path: Path) -> tuple[dict[str, Any], str]:
    """Read the executed notebook; (empty, why) if that cannot be done."""
    if not path.is_file():
        return {}, "The run left no notebook behind."
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        return {}, f"The notebook cannot be read: {error}"
    return (found, "") if isinstance(found, dict) else ({}, "The notebook is no JSON object.")


def _take_title(notebook: dict[str, Any]) -> str:
    """Take the title out of the first cell of prose, so that it is not printed twice."""
    for cell in notebook.get("cells", ()):
        if cell.get("cell_type") == "markdown":
            heading, cell["source"] = title(joined(cell.get("source")))
            return clean(heading)
    return ""


def _tiles(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Key numbers: accuracies on test clips; failing those, the first rows."""
    shares = [row for row in rows if row["name"] == "accuracy"]
    chosen = [row for row in shares if row["keys"].get("split", "test") == "test"]
    pooled = [row for row in chosen if row["keys"].get("fold") == "pooled"]
    return [_tile(row) for row in (pooled or chosen or rows)[:_TILES]]


def _tile(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return label, value, and what is behind it."""
    keys, n = row["keys"], row["n"]
    about = [keys[key] for key in ("modality", "arm", "exit") if key in keys][:1]
    if keys.get("modality") == "all":  # a mean over networks: which arm tells them apart
        about = [f"{keys.get('exit', 'mean')} of {keys.get('arm', 'all')}"]
    label = ", ".join([row["name"], *(_NAMES.get(name, str(name)) for name in about)])
    behind = "" if n is None else f"n = {n}"
    if interval := accuracy_interval(row):
        behind = f"{interval}, {n} clips"
    return label, number(row["value"], row["unit"]), behind


def _hero(parts: Sequence[Block]) -> Figure | None:
    """Pick the figure of the first screen: one about accuracy if there is one, else the first."""
    found = [part.content for part in parts if part.kind == "figure" and part.content.src]
    about = [figure for figure in found if "accuracy" in figure.name]
    return (about or found or [None])[0]


def _sections(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """How this was made: everything the record and the status hold besides rows."""
    known = run.record or optional_json(run.folder / "environment.json")
    facts = {k: v for k, v in known.items() if k not in ("rows", "parameters", "given")}
    nested = {k: v for k, v in facts.items() if isinstance(v, Mapping) and v}
    ended = {k: run.status[k] for k in _STATUS if run.status.get(k) not in (None, "")}
    sections = [
        ("Parameters", flat(run.parameters)),
        ("Run", flat({k: v for k, v in facts.items() if k not in nested})),
        *((_HEADINGS.get(name, name.capitalize()), flat(v)) for name, v in nested.items()),
        ("Status", [] if run.record else flat(ended)),
    ]
    return [(name, pairs) for name, pairs in sections if pairs]


def _code(source: str) -> Markup:
    return Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)))
