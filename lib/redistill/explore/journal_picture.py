"""Pictures of the journal: runs as bars of their cells beside a curve; times of finished ones."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from redistill.exit_figures import CYCLE
from redistill.explore.journal_course import Curve
from redistill.explore.journal_table import Line
from redistill.explore.parts import Part

LINES = 12  # runs that are drawn
_MARKS = {  # of a state: marker, colour; all that are not named did not complete
    "running": (">", CYCLE[0]),
    "waiting": ("o", "0.6"),
    "not started": ("o", "0.6"),
    "completed": ("o", CYCLE[2]),
    "found": ("o", CYCLE[2]),
    "ended badly": ("X", CYCLE[1]),
}
_HOLLOW = ("waiting", "not started")
_LABEL, _SAID, _TITLE = 38, 22, 36  # letters that fit

NO_RUN = "no run yet: what `redistill run` or `redistill batch` begins will stand here"


class JournalPicture:
    """The figure: left the runs, right a curve of the chosen one.

    Attributes:
        figure: of two axes.
        parts: one for each, for a ``PartCanvas``.
    """

    def __init__(self) -> None:
        self.figure = plt.figure(figsize=(8.6, 3.6), layout="none")
        self._runs = _Runs(self.figure.add_axes((0.335, 0.04, 0.125, 0.86)), (0, 0, 0.63, 1))
        self._curve = _Curve(self.figure.add_axes((0.71, 0.16, 0.28, 0.74)), (0.63, 0, 1, 1))
        self.parts = (self._runs, self._curve)

    def draw(
        self,
        lines: Sequence[Line],
        chosen: Line | None,
        label: str | None,
        curve: Curve | None,
        *,
        paused: bool,
    ) -> None:
        """Show the first runs, and a curve of the chosen one; and that it is paused, if it is."""
        self._runs.show(tuple(lines), chosen.name if chosen else None, paused)
        points = tuple(curve.points.items()) if curve else ()
        about = (curve.axis, curve.last) if curve else ("", None)
        self._curve.show(label or ("no curve yet" if chosen else ""), points, *about)


class _Runs(Part):
    """The runs: a mark of their state, a bar of their cells."""

    def __init__(self, axis: Axes, box: tuple[float, float, float, float]) -> None:
        super().__init__([axis], box)
        axis.set(xlim=(0, 1), ylim=(LINES - 0.5, -0.5), xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        wide = {"solid_capstyle": "butt", "clip_on": False}
        (self._here,) = axis.plot([], [], color=CYCLE[0], alpha=0.15, linewidth=16, **wide)
        (self._rails,) = axis.plot([], [], color="0.9", linewidth=5, **wide)
        (self._bars,) = axis.plot([], [], color=CYCLE[5], linewidth=5, **wide)
        self._dots = {state: axis.plot([], [], **_look(state))[0] for state in _MARKS}
        about = {"transform": axis.get_yaxis_transform(), "fontsize": 8, "va": "center"}
        self._labels = [axis.text(-0.14, y, "", ha="right", **about) for y in range(LINES)]
        self._said = [axis.text(1.05, y, "", ha="left", **about) for y in range(LINES)]
        self._count = axis.text(-2.6, 1.03, "", transform=axis.transAxes, fontsize=9)

    def draw(self, lines: Sequence[Line], chosen: str | None, paused: bool) -> None:
        """Show the first runs, and which of them is chosen."""
        shown, gap = lines[:LINES], float("nan")
        more = f"; the first {LINES} of them" * (len(lines) > LINES)
        count = f"{runs_text(len(lines))}{more}" if lines else NO_RUN
        self._count.set_text(count + " (paused)" * paused)
        for row in range(LINES):
            line = shown[row] if row < len(shown) else None
            self._labels[row].set_text(_middle_out(line.about or line.name) if line else "")
            self._said[row].set_text(_state(line) if line else "")
        ys = [y for row in range(len(shown)) for y in (row, row, gap)]
        self._rails.set_data([0, 1, gap] * len(shown), ys)
        self._bars.set_data([x for line in shown for x in (0, _share(line), gap)], ys)
        for state, dots in self._dots.items():
            at = [y for y, line in enumerate(shown) if _kind(line) == state]
            dots.set_data([-0.05] * len(at), at)
        here = [y for y, line in enumerate(shown) if line.name == chosen]
        self._here.set_data([-2.6, 2.1] * len(here), here * 2)


class _Curve(Part):
    """A curve so far."""

    def __init__(self, axis: Axes, box: tuple[float, float, float, float]) -> None:
        super().__init__([axis], box)
        self._axis = axis
        (self._line,) = axis.plot([], [], color=CYCLE[0], marker="o", markersize=4)
        self._title = axis.text(0, 1.03, "", transform=axis.transAxes, fontsize=9)

    def draw(
        self, title: str, points: Sequence[tuple[int, float]], steps: str, last: int | None
    ) -> None:
        """Show the points, and how far they will go if that is known."""
        xs, ys = zip(*points, strict=True) if points else ((), ())
        self._line.set_data(xs, ys)
        self._title.set_text(clip(title, _TITLE))
        end = max(*xs, last or 0, 1) if xs else 1
        low, high = (min(ys), max(ys)) if ys else (0.0, 1.0)
        room = 0.08 * (high - low) or max(abs(high) * 0.05, 0.05)
        limits = {"xlim": (-0.03 * end, 1.03 * end), "ylim": (low - room, high + room)}
        self._axis.set(xlabel=steps, **limits)
        self._axis.set_axis_on() if points else self._axis.set_axis_off()
        self._axis.xaxis.get_major_locator().set_params(integer=True, nbins=6)


def times(table: pd.DataFrame, seconds: pd.DataFrame) -> Figure:
    """Draw how long recorded runs took: a dot a run, a bar from the shortest to the longest.

    Args:
        table: columns runs_of, runs, shortest, median, longest (minutes), a line a kind of run.
        seconds: columns runs_of, seconds; a line a run.
    """
    figure, axis = plt.subplots(figsize=(6, 0.7 + 0.32 * len(table)))
    for y, kind in enumerate(table.itertuples()):
        minutes = seconds[seconds["runs_of"] == kind.runs_of]["seconds"] / 60
        axis.plot([kind.shortest, kind.longest], [y, y], color="0.8", linewidth=2, zorder=1)
        axis.plot(minutes, [y] * len(minutes), "o", color=CYCLE[0], markersize=4, alpha=0.6)
        axis.plot(kind.median, y, "|", color="black", markersize=12)
    names = [f"{kind.runs_of} ({kind.runs} {kind.state})" for kind in table.itertuples()]
    axis.set_yticks(range(len(table)), names)
    axis.set(xlabel="minutes a run (|: median)", ylim=(len(table) - 0.5, -0.5))
    axis.set_xlim(left=0)
    return figure


def clip(text: str, most: int) -> str:
    """Return one line of at most so many letters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def runs_text(count: int) -> str:
    """Return "1 run", "2 runs"."""
    return f"{count} run{'s' * (count != 1)}"


def _middle_out(text: str) -> str:
    """Return a name, its middle left out if it is long: runs differ in their last parameters."""
    return text if len(text) <= _LABEL else f"{text[:12]}…{text[13 - _LABEL :]}"


def _look(state: str) -> dict[str, object]:
    marker, colour = _MARKS[state]
    face = "none" if state in _HOLLOW else colour
    return {"marker": marker, "color": colour, "markerfacecolor": face, "linestyle": "",
            "markersize": 6, "clip_on": False}  # fmt: skip


def _kind(line: Line) -> str:
    return line.state if line.state in _MARKS else "ended badly"


def _share(line: Line) -> float:
    """Return the share of its cells that a run has behind it."""
    if line.state in ("completed", "found"):
        return 1.0
    return (line.cell - 1) / line.cells if line.cell and line.cells else 0.0


def _state(line: Line) -> str:
    cell = f", cell {line.cell}/{line.cells}" if line.cell and line.cells else ""
    return clip(line.state + cell, _SAID)
