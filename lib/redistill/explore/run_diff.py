"""Run diff: choose two runs; what differs in their settings and rows, and where they part."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from redistill.errors import RunError
from redistill.explore.diff_picture import LINES, DiffPicture, brief, number
from redistill.explore.panel import Panel
from redistill.explore.parts import PartCanvas
from redistill.explore.run_pair import Curve, Pair, RowPair, extract, pair, run_folders

_WORDS = {"equal": "equal", "free": "free to differ", "within": "within", "beyond": "beyond"}
_MOST = 6  # parameters that the sentence names


class _Runs:
    """The runs that can be chosen; each is read when it is first needed, and kept."""

    def __init__(self, runs: Path | Sequence[Path]) -> None:
        self.folders = run_folders(runs)
        self._extract = lru_cache(maxsize=None)(lambda name: extract(name, self.folders[name]))
        self.pair = lru_cache(maxsize=64)(lambda a, b: pair(self._extract(a), self._extract(b)))

    def default(self, notebook: str | None) -> tuple[str, str]:
        """Return the first two readable runs of the notebook, else of any, else one run twice."""
        found: dict[str, list[str]] = {}
        for name in self.folders:
            with suppress(RunError):
                of = self._extract(name).record["notebook"]
                found.setdefault(of, []).append(name)
                if notebook in (of, None) and len(found[of]) == 2:
                    return found[of][0], found[of][1]
        several = [names for names in found.values() if len(names) > 1]
        if not found:
            self._extract(next(iter(self.folders)))  # raises, and says why
        names = several[0] if several else [name for each in found.values() for name in each]
        return names[0], names[min(1, len(names) - 1)]


def run_diff(runs: Path | Sequence[Path], *, prefer: str | None = None) -> Panel:
    """Return the panel that lays two recorded runs side by side.

    Args:
        runs: a folder of run folders, or run folders.
        prefer: file name of a notebook, the first two runs of which are shown first.

    Raises:
        RunError: no run there, or none that can be read.
    """
    known = _Runs(runs)
    first, second = known.default(prefer)
    picture, still = DiffPicture(), DiffPicture(compact=True)
    controls, seen = _controls(tuple(known.folders), first, second), None

    def react(**chosen: object) -> str:
        nonlocal seen
        try:
            found = known.pair(chosen["first"], chosen["second"])
        except RunError as error:
            _offer(controls, None)
            picture.draw(None, [], 1, None)
            return f"These two cannot be compared: {error}"
        _offer(controls, found)
        if seen != (seen := (found.a, found.b, controls["rows"].value)):
            controls["part"].index = 0
        name, page, curve = (controls[each].value for each in ("rows", "part", "curve"))
        rows = found.of(name)
        picture.draw(found, rows, page, found.curves.get(curve))
        return _sentence(found, rows, page, found.curves.get(curve))

    def twin() -> tuple[Figure, pd.DataFrame]:
        found = known.pair(first, second)
        rows, curve = found.of(_default(found.names)), next(iter(found.curves.values()), None)
        still.draw(found, rows, 1, curve)
        return still.figure, _table(rows[:LINES], curve)

    return Panel(
        name="run_diff",
        controls=controls,
        canvas=PartCanvas(picture.figure, picture.parts),
        react=react,
        twin=twin,
        caption=f"Two runs, A {first} and B {second}: rows that both have, those furthest apart "
        "first, and the step at which they part.",
        rtol=1e-6,
    )


def _controls(names: Sequence[str], first: str, second: str) -> dict[str, widgets.ValueWidget]:
    wide = widgets.Layout(width="22em")
    return {
        "first": widgets.Dropdown(options=names, value=first, description="run A", layout=wide),
        "second": widgets.Dropdown(options=names, value=second, description="run B", layout=wide),
        "rows": widgets.Dropdown(description="rows", layout=wide),
        "part": widgets.Dropdown(description="part"),
        "curve": widgets.Dropdown(description="curve", layout=wide),
    }


def _offer(controls: Mapping[str, widgets.ValueWidget], found: Pair | None) -> None:
    """Let the controls offer what this pair has; what is chosen stays where it can."""
    names = found.names if found else []
    for key, options in {"rows": names, "curve": list(found.curves) if found else []}.items():
        control, before = controls[key], controls[key].value
        if list(control.options) != options:
            control.options = options
            usual = _default(options) if key == "rows" else next(iter(options), None)
            control.value = before if before in options else usual
    count = len(found.of(controls["rows"].value)) if found else 0
    begins = range(0, max(count, 1), LINES)
    parts = [(f"{b + 1} to {min(b + LINES, count)}", n) for n, b in enumerate(begins, start=1)]
    if list(controls["part"].options) != parts:
        controls["part"].options = parts if count else [("none", 1)]


def _default(names: Sequence[str]) -> str | None:
    return "accuracy" if "accuracy" in names else next(iter(names), None)


def _sentence(found: Pair, rows: Sequence[RowPair], page: int, curve: Curve | None) -> str:
    alike = [what for what, same in found.same.items() if same]
    other = [what for what, same in found.same.items() if not same]
    made = [f"{how}: {', '.join(w)}" for how, w in (("differs", other), ("equal", alike)) if w]
    parts = [
        f"A {found.a} against B {found.b}: " + "; ".join([_parameters(found), *made]),
        f"{_counts(found)}",
        _first(found),
        _shown(rows, page),
        _parting(curve),
    ]
    return ". ".join(part for part in parts if part) + "."


def _parameters(found: Pair) -> str:
    if not found.parameters:
        return f"no parameter of {found.settings} differs"
    named = [f"{name} {brief(a)} / {brief(b)}" for name, a, b in found.parameters[:_MOST]]
    more = len(found.parameters) - len(named)
    named += [f"{more} more"] if more else []
    verb = "differs" if len(found.parameters) == 1 else "differ"
    many = f"{len(found.parameters)} of {found.settings} parameters"
    return f"{many} {verb} ({', '.join(named)})"


def _counts(found: Pair) -> str:
    if not found.rows:
        return f"No row in common (A has {found.alone[0]}, B has {found.alone[1]})"
    counts = found.counts
    told = ", ".join(
        f"{counts[state]} {words} tolerance" if state in ("within", "beyond") else
        f"{counts[state]} {words}"
        for state, words in _WORDS.items()
    )  # fmt: skip
    alone = f"; A alone has {found.alone[0]}, B alone {found.alone[1]}" if any(found.alone) else ""
    return f"Of {len(found.rows)} rows that both have, {told}{alone}"


def _first(found: Pair) -> str:
    off = next((row for row in found.rows if row.state in ("within", "beyond")), None)
    if off is None:
        return ""
    values = f"{number(off.a)} / {number(off.b)}"
    return f"The first row that differs is {off.name} ({off.label}), {values}"


def _shown(rows: Sequence[RowPair], page: int) -> str:
    if not rows:
        return ""
    begin = (page - 1) * LINES
    last = min(begin + LINES, len(rows))
    widest = rows[0]
    return (
        f"Shown: {widest.name}, rows {begin + 1} to {last} of {len(rows)}; furthest apart is "
        f"{widest.label}, {number(widest.a)} / {number(widest.b)}"
    )


def _parting(curve: Curve | None) -> str:
    if curve is None:
        return "They have no curve in common"
    at = curve.parts
    if at is None:
        return f"In {curve.label} they never part"
    state = curve.states.get(at)
    how = f", {state} tolerance" if state in ("within", "beyond") else ""
    values = f"{number(curve.a[at])} / {number(curve.b[at])}"
    return f"In {curve.label} they part at {curve.axis} {at} ({values}{how})"


def _table(rows: Sequence[RowPair], curve: Curve | None) -> pd.DataFrame:
    """Return what the static figure shows: a line a row, then a line a step of the curve."""
    lines = [(row.name, row.label, row.a, row.b, row.state) for row in rows]
    for at in [x for x in curve.a if x in curve.b] if curve else []:
        state = curve.states.get(at) or ("equal" if curve.a[at] == curve.b[at] else "differs")
        lines.append((curve.label, f"{curve.axis} {at}", curve.a[at], curve.b[at], state))
    return pd.DataFrame(lines, columns=["what", "row", "a", "b", "state"])
