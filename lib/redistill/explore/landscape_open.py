"""The landscape pair of a finished run of notebook 4, from the figures and rows that it kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from redistill.errors import RunError
from redistill.explore.landscape import landscape_pair
from redistill.explore.landscape_table import MEASURES
from redistill.explore.panel import Panel
from redistill.figures import NAMES
from redistill.landscape import Surface
from redistill.methods.solutions import SAME
from redistill.rows import Row, read_rows

PLANES = {  # figure -> the plane it shows
    "surfaces": "two random directions",
    "eigen_surfaces": "its two sharpest directions",
}
KEPT_EXIT = 3  # the classifier whose lines a run keeps


def open_landscapes(run_folder: str | Path) -> Panel:
    """Return the instrument over what a run kept: nothing is trained, nothing measured.

    A run keeps the losses of its surfaces and not their accuracies, and the lines of the third
    classifiers alone; numbers have three or four digits.

    Args:
        run_folder: of a run of notebook 4, as ``redistill run`` names it.

    Raises:
        RunError: no such run, or one that did not get as far.
    """
    folder = Path(run_folder)
    tables = {name: _table(folder, name) for name in (*PLANES, "lines", "sharpness")}
    rows = read_rows(folder)
    return landscape_pair(
        planes={plane: _plane(tables[figure]) for figure, plane in PLANES.items()},
        lines=_lines(tables["lines"]),
        ends=_ends(tables["sharpness"], rows),
        clips=_clips(folder, rows),
    )


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / "figures" / f"{name}.csv"
    if not path.exists():
        raise RunError(
            f"{folder} keeps no figure {name!r}; expected the folder of a run of notebook "
            "4_flatness that got past its landscapes; name another, or run it again"
        )
    return pd.read_csv(path)


def _plane(wide: pd.DataFrame) -> pd.DataFrame:
    """Undo ``landscape_figures.square``: its columns are named ``b = ...``."""
    long = wide.melt(["modality", "a"], var_name="b", value_name="loss")
    return long.assign(b=long["b"].str.removeprefix("b = ").astype(float))


def _lines(table: pd.DataFrame) -> dict[tuple[str, int], Surface]:
    found = {}
    for modality, name in NAMES.items():
        rows = table[table["line"] == name]
        if len(rows):
            loss, shares = (rows[[column]].to_numpy(dtype=float) for column in ("loss", "accuracy"))
            axes = {"a": rows["a"].to_numpy(dtype=float), "b": np.zeros(1)}
            found[modality, KEPT_EXIT] = Surface(**axes, loss=loss, accuracy=shares, cosine=None)
    return found


def _ends(sharpness: pd.DataFrame, rows: Sequence[Row]) -> pd.DataFrame:
    """Return of ``flatness_tables.ends`` what the instrument reads, of the networks of one depth.

    These are the first that a run measures; its first row of a modality is theirs.
    """
    known = sharpness[sharpness["at"] == "end"].set_index(["modality", "measure"])
    lines = []
    for modality in known.index.unique("modality"):
        line = {"modality": modality, "network": SAME}
        for measure in MEASURES:
            for side in ("value", "low", "high"):
                key = measure if side == "value" else f"{measure}_{side}"
                line[key] = 10 ** known[side].get((modality, measure), np.nan)
        for column, name in (("train_loss", "train_loss"), ("test_accuracy", "accuracy")):
            own = (r.value for r in rows if (r.name, r.keys.get("modality")) == (name, modality))
            line[column] = next(own, np.nan)
        lines.append(line)
    return pd.DataFrame(lines)


def _clips(folder: Path, rows: Sequence[Row]) -> int:
    for row in rows:
        if row.name == "number" and row.keys.get("of") == "clips in the loss":
            return int(row.value)
    raise RunError(f"{folder} does not say of how many clips its loss is; run notebook 4 again")
