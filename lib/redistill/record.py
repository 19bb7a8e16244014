"""Typed rows and figures: shown in the notebook, and kept by the run if there is one.

Under a run (``REDISTILL_RUN_DIR`` is set) ``record`` appends to rows.jsonl, ``show`` writes into
figures/, and ``note_data`` into data.json; elsewhere they only display.
"""

import base64
import io
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redistill.errors import RunError
from redistill.files import read_json, slug, write_atomic, write_json
from redistill.rows import Row, append_row, read_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["FIGURE_MIME", "ROW_MIME", "Row", "note_data", "read_rows", "record", "show"]

ROW_MIME = "application/vnd.redistill.row+json"
FIGURE_MIME = "application/vnd.redistill.figure+json"
RUN_DIR = "REDISTILL_RUN_DIR"
_DPI = 86  # so that a notebook of a dozen figures stays under 200 kB
_LEAN, _HEAVY = 5_000, 16_000  # bytes; larger pictures are stored with 32 and with 24 colours


def record(
    name: str,
    value: float | int | str | bool,
    *,
    unit: str = "",
    n: int | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    free: bool = False,
    **keys: str | int,
) -> None:
    """Show one result as a tidy line with a typed row behind it, and keep it under a run.

    Args:
        name: what was measured; letters, digits, ``_``, ``.`` and ``-``.
        value: a finite number, a text or a truth value; numpy and torch scalars are converted.
        unit: "" for none; "fraction" is shown in per cent.
        n: how many items (clips, say) are behind the value.
        atol: absolute tolerance when notebooks are compared; without both it must be exact.
        rtol: relative tolerance.
        free: the value may be anything when compared (a time, say).
        **keys: what the row is about: arm, modality, exit, split, fold, seed, ...

    Raises:
        RunError: a value that is not finite or of another type.
        OSError: the run folder cannot be written.
    """
    row = Row(
        name=name,
        value=_scalar(value),
        unit=unit,
        n=_scalar(n),
        atol=atol,
        rtol=rtol,
        free=free,
        keys={key: _scalar(item) for key, item in keys.items()},
    )
    if folder := _run_dir():
        append_row(folder, row)
    _display({"text/plain": row.text(), ROW_MIME: row.brief()})


def show(
    figure: "Figure",
    table: "pd.DataFrame",
    *,
    name: str,
    atol: float | None = None,
    rtol: float | None = None,
    free: bool = False,
    caption: str = "",
) -> None:
    """Show a figure together with the table it was drawn from, and keep both under a run.

    The figure is closed.  Tolerances hold for the numbers of the table, as in ``record``.

    Raises:
        RunError: a name that cannot name a file, a table with an infinity or with objects that
            are no JSON scalars, or a second figure of the same name in one run.
    """
    bundle = figure_bundle(
        figure, table, name=name, atol=atol, rtol=rtol, free=free, caption=caption
    )
    if folder := _run_dir():
        target = folder / "figures" / f"{slug(name)}.png"
        if target.exists():
            raise RunError(
                f"this run already shows a figure {name!r}; give the second its own name"
            )
        write_atomic(target, base64.b64decode(bundle["image/png"]))
        write_atomic(target.with_suffix(".csv"), table.to_csv(index=False))
    _display(bundle)


def figure_bundle(
    figure: "Figure",
    table: "pd.DataFrame",
    *,
    name: str,
    atol: float | None = None,
    rtol: float | None = None,
    free: bool = False,
    caption: str = "",
) -> dict[str, Any]:
    """Return a figure and its table as the MIME bundle that ``show`` displays; nothing is kept.

    Raises:
        RunError: as ``show``.
    """
    picture = _png(figure)
    rows = [[_cell(item, name) for item in row] for row in table.itertuples(index=False)]
    entry = {"name": slug(name), "columns": [str(c) for c in table.columns], "rows": rows}
    entry |= {"atol": atol, "rtol": rtol, "free": free, "caption": caption}
    text = f"figure {name}" + (f": {caption}" if caption else "")
    encoded = base64.b64encode(picture).decode()
    return {"image/png": encoded, "text/plain": text, FIGURE_MIME: entry}


def note_data(**facts: Any) -> None:
    """Keep facts about the data for the record: manifest, dropped clips, reads of sealed labels.

    Later facts of the same name replace earlier ones.  Outside a run this does nothing.
    """
    if folder := _run_dir():
        path = folder / "data.json"
        known = read_json(path) if path.exists() else {}
        write_json(path, {**known, **facts})


def _run_dir() -> Path | None:
    given = os.environ.get(RUN_DIR)
    return Path(given) if given else None


def _scalar(value: Any) -> Any:
    """Return the Python scalar in a numpy or torch scalar; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _cell(value: Any, name: str) -> Any:
    """Return one item of a table as JSON, to seven digits; a missing value is None."""
    value = _scalar(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.7g}")
    if isinstance(value, bool | int | str):
        return value
    raise RunError(
        f"figure {name!r}: its table holds {value!r}; give finite numbers, texts or truth values"
    )


def _png(figure: "Figure") -> bytes:
    """Draw the figure, with few colours if it is large, so that notebooks stay small.

    No date and no software version, so that equal pictures are equal files.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)
    if buffer.tell() <= _LEAN:
        return buffer.getvalue()
    from PIL import Image

    way = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}  # keeps black black
    with Image.open(buffer) as image:
        for colours in (32, 24):
            lean = io.BytesIO()
            image.convert("RGB").quantize(colours, **way).save(lean, format="png", optimize=True)
            if lean.tell() <= _HEAVY:
                break
    return lean.getvalue()


def _display(data: Mapping[str, Any]) -> None:
    """Display the bundle in a notebook; elsewhere print its text."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(data["text/plain"])
    else:
        display(dict(data), raw=True)
