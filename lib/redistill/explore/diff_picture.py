"""The picture of the run diff: dumbbells of rows, a curve of both runs, settings that differ."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from redistill.exit_figures import CYCLE
from redistill.explore.parts import Part
from redistill.explore.run_pair import Curve, Pair, RowPair

LINES = 12  # rows on a page
_SIGNS = {"equal": "$=$", "free": "$?$", "within": r"$\approx$", "beyond": r"$\neq$"}  # markers
_KEY = "= equal    ≈ differs within tolerance    ≠ beyond it    ? is free to differ"
_LINES = {"within": ("0.6", 1.2, "-"), "beyond": ("0.15", 2.2, "-"), "free": ("0.6", 1.2, ":")}
_A = {"color": CYCLE[0], "marker": "o", "label": "A"}
_B = {"color": CYCLE[1], "marker": "s", "label": "B", "markerfacecolor": "none"}
_LABEL, _WIDTH = 33, 112  # letters that fit


class DiffPicture:
    """The figure: left the rows, right the curve, below the parameters that differ.

    Attributes:
        figure: of three axes.
        parts: one for each, for a ``PartCanvas``.
    """

    def __init__(self, *, compact: bool = False) -> None:
        """``compact``: a smaller figure, for a notebook that keeps it."""
        self.figure = plt.figure(figsize=(7.2, 3.2) if compact else (8.6, 4.0), layout="none")
        self._rows = _Rows(self.figure.add_axes((0.26, 0.24, 0.36, 0.69)), (0, 0.12, 0.65, 1))
        self._curve = _Curve(self.figure.add_axes((0.73, 0.24, 0.26, 0.69)), (0.65, 0.12, 1, 1))
        self._settings = _Settings(self.figure.add_axes((0.01, 0, 0.98, 0.12)), (0, 0, 1, 0.12))
        self.parts = (self._rows, self._curve, self._settings)

    def draw(
        self, pair: Pair | None, rows: Sequence[RowPair], page: int, curve: Curve | None
    ) -> None:
        """Show a page of rows (all of one name) and a curve; of no pair, nothing."""
        self._rows.show(pair is None, tuple(rows), (page - 1) * LINES)
        self._curve.show(pair is None, curve)
        self._settings.show(_settings(pair) if pair else "")


class _Rows(Part):
    """A page of rows as dumbbells."""

    def __init__(self, axis: Axes, box: tuple[float, float, float, float]) -> None:
        super().__init__([axis], box)
        self._axis = axis
        axis.set(ylim=(LINES - 0.4, -0.6), yticks=[])
        axis.spines["left"].set_visible(False)
        self._links = {
            state: axis.plot([], [], color=colour, linewidth=width, linestyle=style)[0]
            for state, (colour, width, style) in _LINES.items()
        }
        self._ends = [axis.plot([], [], linestyle="", markersize=5, **look)[0] for look in (_A, _B)]
        side = axis.get_yaxis_transform()  # x in shares of the axis, y in rows
        about = {"transform": side, "fontsize": 8, "va": "center", "ha": "right"}
        self._labels = [axis.text(-0.02, y, "", **about) for y in range(LINES)]
        about = {"transform": side, "linestyle": "", "color": "0.15", "clip_on": False}
        self._signs = {
            state: axis.plot([], [], marker=sign, markersize=6, markeredgewidth=0.3, **about)[0]
            for state, sign in _SIGNS.items()
        }
        self._title = axis.text(0, 1.02, "", transform=axis.transAxes, fontsize=9, va="bottom")

    def draw(self, empty: bool, every: Sequence[RowPair], begin: int) -> None:
        """Show the rows from ``begin`` on, over the span of all."""
        rows = every[begin : begin + LINES]
        places = [_places(row) for row in rows]
        for line, label in enumerate(self._labels):
            label.set_text(_label(rows[line]) if line < len(rows) else "")
        for end, line in enumerate(self._ends):
            line.set_data([both[end] for both in places], range(len(rows)))
        for state, sign in self._signs.items():
            at = [y for y, row in enumerate(rows) if row.state == state]
            sign.set_data([1.04] * len(at), at)
        for state, link in self._links.items():
            at = [y for y, row in enumerate(rows) if row.state == state]
            link.set_data(
                [x for y in at for x in (*places[y], float("nan"))], [y for y in at for _ in "ab-"]
            )
        where = f", rows {begin + 1} to {begin + len(rows)} of {len(every)}"
        nothing = "" if empty else "no row in common"
        self._title.set_text(every[0].name + where if every else nothing)
        span = _span([x for row in every for x in _places(row)])
        self._axis.set(xlim=span, xlabel=_unit(every))


class _Curve(Part):
    """A curve of both runs, with the step at which they part."""

    def __init__(self, axis: Axes, box: tuple[float, float, float, float]) -> None:
        super().__init__([axis], box)
        self._axis = axis
        self._parting = axis.axvline(0, color="0.4", linestyle="--", linewidth=1)
        self._runs = [axis.plot([], [], linewidth=1.2, markersize=5, **x)[0] for x in (_A, _B)]
        self._legend = axis.legend(frameon=False, fontsize=8, loc="upper right")
        self._note = axis.text(0.5, 0.02, "", fontsize=8, transform=axis.transAxes, ha="center")
        self._title = axis.text(0, 1.02, "", transform=axis.transAxes, fontsize=9, va="bottom")

    def draw(self, empty: bool, curve: Curve | None) -> None:
        """Show the curve of both runs."""
        for line, values in zip(self._runs, (curve.a, curve.b) if curve else ({}, {}), strict=True):
            line.set_data(list(values), list(values.values()))
        at = curve.parts if curve else None
        self._parting.set_xdata([at or 0] * 2)
        self._parting.set_visible(at is not None)
        told = "they never part" if at is None else f"they part at {curve.axis} {at}"
        self._note.set_text(told if curve else "")
        nothing = "" if empty else "no curve in common"
        self._title.set_text(_clip(curve.label, _LABEL) if curve else nothing)
        steps = sorted({*curve.a, *curve.b}) if curve else [0, 1]
        low, high = _span([*curve.a.values(), *curve.b.values()] if curve else [])
        room = 0.06 * max(steps[-1] - steps[0], 1)
        # below the curves there is room for the note, above them for the legend
        self._axis.set(
            xlim=(steps[0] - room, steps[-1] + room),
            ylim=(low - 0.12 * (high - low), high + 0.15 * (high - low)),
            xlabel=curve.axis if curve else "",
        )
        self._axis.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        self._legend.set_visible(curve is not None)
        self._axis.set_axis_on() if curve else self._axis.set_axis_off()


class _Settings(Part):
    """What the signs mean, and the parameters that differ."""

    def __init__(self, axis: Axes, box: tuple[float, float, float, float]) -> None:
        super().__init__([axis], box)
        axis.axis("off")
        about = {"fontsize": 8, "va": "bottom", "transform": axis.transAxes}
        axis.text(0, 0.54, _KEY, color="0.3", **about)
        self._set = axis.text(0, 0.12, "", **about)

    def draw(self, settings: str) -> None:
        """Show the parameters that differ."""
        self._set.set_text(settings)


def number(value: object) -> str:
    """Return a value for a reader: six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def brief(value: object) -> str:
    """Return the value of a parameter in at most 40 letters."""
    text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
    return _clip(text, 40)


def _places(row: RowPair) -> tuple[float, float]:
    """Return where A and B stand; fractions in per cent, texts at 0 and, if they differ, 1."""
    if isinstance(row.a, str) or isinstance(row.b, str):
        return 0.0, row.gap
    scale = 100 if row.unit == "fraction" else 1
    return scale * float(row.a), scale * float(row.b)


def _unit(rows: Sequence[RowPair]) -> str:
    if any(isinstance(row.a, str | bool) for row in rows):
        return "values differ (1) or not (0)" if isinstance(rows[0].a, str) else "no (0), yes (1)"
    return {"fraction": "%"}.get(rows[0].unit, rows[0].unit) if rows else ""


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return limits with some room around the values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.06 * (high - low) or max(abs(low) * 0.05, 0.5)
    return low - room, high + room


def _label(row: RowPair) -> str:
    if isinstance(row.a, str):
        return _clip(f"{row.label}: {row.a} / {row.b}", _LABEL)
    return _clip(row.label, _LABEL)


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _settings(pair: Pair) -> str:
    """Return one line with the parameters that differ, as many as fit."""
    if not pair.parameters:
        return f"No parameter of {pair.settings} differs."
    told = f"{len(pair.parameters)} of {pair.settings} parameters differ (A | B): "
    each = (f"{name} {brief(a)} | {brief(b)}" for name, a, b in pair.parameters)
    return _clip(told + "; ".join(each), _WIDTH)
