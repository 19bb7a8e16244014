"""The picture of the spectrum lens: a channel over time, its amplitudes, the clip's loss by bin.

Whose a line or a bar is, its marker and its hatch say too; a bin taken out is pale and crossed.
"""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from redistill.exit_figures import CYCLE

TEACHER, STUDENT, LOSS = "#444444", CYCLE[0], CYCLE[1]
LOOKS = {
    "teacher": {"color": TEACHER, "marker": "D", "markersize": 4, "linewidth": 1.2},
    "student": {"color": STUDENT, "marker": "o", "markersize": 4, "linewidth": 1.2},
}
PALE = 0.25
IN = {"facecolor": LOSS, "edgecolor": "white", "hatch": None}
OUT = {"facecolor": "white", "edgecolor": LOSS, "hatch": "xxx"}
_ROOM = 0.8 * 72 / 3  # points that bars have for an inch of figure: a third of it, less margins
_LINE, _NUMBER = 10, 30  # points that a number takes, upright and lying
_HEAD = 1.6  # of the largest part, so that its number has room above it
_APART = 0.13  # of the height, between two ticks


@dataclass(frozen=True)
class View:
    """What the picture shows.

    Attributes:
        signals: student's and teacher's channel over time, divided as the loss does it, (2, T).
        rebuilt: the same from the bins in use, (2, T).
        amplitudes: of both, (2, K).
        parts: what each bin adds to the loss of the clip, (K,).
        bins: which are in use, (K,).
        left: the sum of the parts in use, in words.
    """

    signals: np.ndarray
    rebuilt: np.ndarray
    amplitudes: np.ndarray
    parts: np.ndarray
    bins: np.ndarray
    left: str


@dataclass(frozen=True)
class Limits:
    """The largest values of anything that can be shown, so that nothing jumps.

    Attributes:
        signal: absolute.
        amplitude: of one bin and channel.
        part: of one bin in the loss of a clip.
    """

    signal: float
    amplitude: float
    part: float


class Picture:
    """A figure whose lines, bars and numbers move.

    Attributes:
        figure: the figure.
        moving: what ``show`` changes, in the order of drawing.
    """

    def __init__(
        self, frames: int, bins: int, limits: Limits, *, size: tuple[float, float], unit: str
    ) -> None:
        """Draw what stays; ``size`` is in inches, ``unit`` that of a bin's number."""
        self.figure, (time, middle, right) = plt.subplots(1, 3, figsize=size)
        places, wide = np.arange(bins), 0.4
        room = _ROOM * size[0] / bins
        roomy = room > _LINE
        own = {"color": STUDENT, "hatch": "////" if roomy else None}
        self._lines = _lines(time, frames)
        self._bars = (
            middle.bar(places + wide / 2, np.zeros(bins), wide, **own),
            middle.bar(places - wide / 2, np.zeros(bins), wide, color=TEACHER),
        )
        self._parts = right.bar(places, np.zeros(bins), 0.8, color=LOSS)
        self._out = OUT if roomy else {**OUT, "hatch": None}  # a hatch takes a millisecond
        self._numbers = [_number(right, n, room) for n in (places if roomy else ())]
        self._left = right.text(0.5, 1.01, "", transform=right.transAxes, ha="center", va="bottom")
        self._left.set_fontsize(8)
        _still((time, middle, right), limits, f"bin, {unit}")
        _legend(self.figure)
        groups = (*self._bars, self._parts)
        for bar in (bar for group in groups for bar in group):
            bar.set(edgecolor="white", linewidth=0.5)
        self.moving: list[Artist] = [bar for group in groups for bar in group]
        self.moving += [*self._numbers, self._left, *self._lines]

    def show(self, view: View) -> None:
        """Move everything to what ``view`` holds."""
        values = (*view.signals, *view.rebuilt)
        for line, ys in zip(self._lines, values, strict=True):
            line.set_ydata(ys)
        for bars, heights in zip(self._bars, view.amplitudes, strict=True):
            for bar, height, used in zip(bars, heights, view.bins, strict=True):
                bar.set(height=height, alpha=1 if used else PALE)
        for bar, part, used in zip(self._parts, view.parts, view.bins, strict=True):
            bar.set(height=part, **(IN if used else self._out))
        for number, part in zip(self._numbers, view.parts, strict=False):
            number.xy = number.xy[0], part
            number.set_text(f"{part:.2g}")
        self._left.set_text(view.left)


def _lines(axis: Axes, frames: int) -> list[Line2D]:
    """Return four lines: student and teacher with all bins, pale, then with the bins in use."""
    x, zeros = np.arange(frames), np.zeros(frames)
    whose = LOOKS["student"], LOOKS["teacher"]
    pale = [axis.plot(x, zeros, **look | {"alpha": PALE, "marker": ""})[0] for look in whose]
    return pale + [axis.plot(x, zeros, **look)[0] for look in whose]


def _number(axis: Axes, place: int, room: float) -> Annotation:
    """Return the number over a bar that is ``room`` points wide."""
    number = axis.annotate("", (place, 0), (0, 2), textcoords="offset points", ha="center")
    number.set(fontsize=8, rotation=0 if room > _NUMBER else 90, va="bottom")
    return number


def _still(axes: tuple[Axes, Axes, Axes], limits: Limits, bins: str) -> None:
    """Set axes and titles, once and for all."""
    time, middle, right = axes
    time.set(ylim=(-1.1 * limits.signal, 1.1 * limits.signal), xlabel="frame")
    time.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    for axis, most in ((middle, 1.1 * limits.amplitude), (right, _HEAD * limits.part)):
        axis.set_yscale("function", functions=(_root, np.square))  # or small bins were not seen
        axis.set(ylim=(0, most), xlabel=bins)
        axis.set_yticks(ticks := _ticks(most), [f"{x:g}" for x in ticks])
    titles = "one channel over time", "its amplitudes (root scale)", "loss of the clip (root scale)"
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=9, pad=16)
        axis.tick_params(labelsize=8)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _ticks(most: float) -> list[float]:
    """Return round numbers up to ``most`` that stand apart on a root scale."""
    grade = math.floor(math.log10(most))
    chosen = [0.0]
    for number in (x * 10.0**power for power in (grade - 2, grade - 1, grade) for x in (1, 2, 5)):
        if number <= most and _root(number / most) - _root(chosen[-1] / most) >= _APART:
            chosen.append(number)
    return chosen


def _root(values: np.ndarray | float) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))


def _legend(figure: Figure) -> None:
    """Name each look once, above the axes."""
    entries = [
        Line2D([], [], label="teacher", **LOOKS["teacher"]),
        Line2D([], [], label="student, in the teacher's channels", **LOOKS["student"]),
        Line2D([], [], color=TEACHER, alpha=PALE, linewidth=3, label="pale: with all bins"),
        Patch(**OUT, linewidth=0.5, label="bin taken out"),
    ]
    figure.legend(handles=entries, loc="outside upper left", ncols=4, frameon=False, fontsize=8)
