"""The picture of the exit explorer: accuracy over cost, and every test clip where it leaves."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from redistill.exit_figures import CYCLE
from redistill.explore.exits_table import PLAIN, WISE, ExitsTable, Outcome
from redistill.figures import NAMES
from redistill.methods.wise import EXITS

PAGE = 240  # clips that are drawn at once
COLUMN, HEIGHT = 36, 228  # pixels of a stack, about
SAID = {WISE: "WISE", PLAIN: "exits by themselves"}
CLIPS = {  # how the kinds of clips look, from the bottom of a stack to its top
    "right": {"color": CYCLE[0], "marker": "o"},
    "early and right, the last exit wrong": {"color": CYCLE[2], "marker": "^"},
    "early and wrong, the last exit right": {"color": CYCLE[1], "marker": "X"},
    "early and wrong, the last exit too": {"color": CYCLE[1], "marker": "x"},
    "wrong at the last exit": {"color": "0.45", "marker": "o", "markerfacecolor": "none"},
}


@dataclass(frozen=True)
class Picture:
    """A figure and what of it moves.

    Attributes:
        figure: with two axes.
        now: ring and cross-hair of the operating point: ring, vertical, horizontal.
        said: the point in numbers.
        stacks: the clips of each kind of CLIPS.
        counts: how many clips each exit takes.
        page: the heading of the stacks; it says which clips are drawn, where not all are.
    """

    figure: Figure
    now: tuple[Line2D, Line2D, Line2D]
    said: Text
    stacks: tuple[Line2D, ...]
    counts: tuple[Text, ...]
    page: Text

    @property
    def moving(self) -> tuple[Artist, ...]:
        """All that moves, in the order of drawing."""
        return (*self.now[1:], self.now[0], self.said, *self.stacks, *self.counts, self.page)

    def place(self, found: Outcome, cascade: str, *, page: int = 1) -> None:
        """Move everything to one outcome; ``page`` counts from 1."""
        ring, vertical, horizontal = self.now
        x, y = found.macs / 1e6, 100 * found.right.mean()
        ring.set_data([x], [y])
        ring.set_color(_COLOURS[cascade])
        left, floor = ring.axes.get_xlim()[0], ring.axes.get_ylim()[0]
        vertical.set_data([x, x], [floor, y])
        horizontal.set_data([left, x], [y, y])
        time = "" if found.milliseconds is None else f", {found.milliseconds:.1f} ms"
        self.said.set_text(f"now: {y:.1f} % at {millions(found.macs)} million{time}")
        first = PAGE * (page - 1)
        shown = slice(first, first + PAGE)
        columns, rows = stacked(found.exit[shown], kinds(found)[shown], across(len(found.exit)))
        for number, line in enumerate(self.stacks):
            those = kinds(found)[shown] == number
            line.set_data(columns[those], rows[those])
        for text, count in zip(self.counts, np.bincount(found.exit, minlength=12), strict=True):
            text.set_text(str(count))
        if len(found.exit) > PAGE:
            last = min(first + PAGE, len(found.exit))
            which = f"clips {first + 1} to {last} of {len(found.exit)}"
            self.page.set_text(f"{which} where they leave; the numbers count all")


def millions(macs: float) -> str:
    """Return a number of MACs in millions, as the picture and the sentence give it."""
    return f"{macs / 1e6:.{2 if macs < 1e8 else 0}f}"


_COLOURS = {WISE: CYCLE[0], PLAIN: CYCLE[2]}


def kinds(found: Outcome) -> NDArray:
    """Return the kind of each clip, its place in CLIPS, (N,)."""
    wrong = np.where(found.early, np.where(found.last, 2, 3), 4)
    return np.where(found.right, np.where(found.saved, 1, 0), wrong)


def across(clips: int) -> int:
    """Return how many clips stand side by side in a stack, so that all could stand in one."""
    return max(1, round((min(clips, PAGE) * COLUMN / HEIGHT) ** 0.5))


def stacked(exit: NDArray, kind: NDArray, wide: int) -> tuple[NDArray, NDArray]:
    """Return where each clip stands, (N,) and (N,): in a stack on its exit, kind upon kind."""
    order = np.lexsort((kind, exit))
    counts = np.bincount(exit, minlength=3 * EXITS)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(len(exit), dtype=np.int64)
    rank[order] = np.arange(len(exit)) - before
    return exit + 0.84 * ((rank % wide + 0.5) / wide - 0.5), rank // wide + 0.5


def picture(table: ExitsTable) -> Picture:
    """Draw what stays, and make what moves."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.6, 4), width_ratios=(3, 5), layout="constrained"
    )
    now = _plane(left, table)
    said = left.set_title("now", fontsize=9)
    stacks, counts = _columns(right, table)
    every = "every test clip where it leaves, and how many"
    page = right.set_title("" if len(table.fold) > PAGE else every, fontsize=9)
    looks = [Line2D([], [], linestyle="", label=name, **look) for name, look in CLIPS.items()]
    figure.legend(
        handles=looks, loc="outside lower center", ncols=3, frameon=False, fontsize=8,
        handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    return Picture(figure, now, said, stacks, counts, page)


def _plane(axis: Axes, table: ExitsTable) -> tuple[Line2D, Line2D, Line2D]:
    """Draw both curves, late fusion and the two points at equal cost; return the moving point."""
    for cascade, marker in ((WISE, "o"), (PLAIN, "^")):
        curve, colour = table.curve(cascade), _COLOURS[cascade]
        place = curve["macs"] / 1e6, 100 * curve["accuracy"]
        axis.plot(*place, color=colour, marker=marker, markersize=3, lw=1.2, label=SAID[cascade])
        _ring(axis, curve, marker, colour)
    ends = table.costs.min() / 1e6, table.costs.max() / 1e6
    spare = 0.06 * (ends[1] - ends[0])
    axis.plot(table.plain / 1e6, 100 * table.fused, color=CYCLE[4], marker="v", markersize=8,
              linestyle="", label="late fusion, no early exits")  # fmt: skip
    axis.plot([], [], "s", markerfacecolor="none", markeredgecolor="black",
              label="black edge: equal cost,\nchosen on validation clips")  # fmt: skip
    low, high = (100 * share for share in table.extremes())
    axis.vlines(table.plain / 1e6, low - 3, high, color="0.7", linestyle=":", linewidth=1, zorder=0)
    most = max(ends[1], table.plain / 1e6)
    free = 3 + 0.52 * max(high - low, 5)  # where the legend stands
    axis.set(xlim=(ends[0] - spare, most + spare), ylim=(low - 3, high + free))
    axis.set_yticks([tick for tick in axis.get_yticks() if low - 3 <= tick <= 100])
    axis.set_xlabel("million multiply-accumulates a video", fontsize=9)
    axis.set_ylabel("test clips right, %", fontsize=9)
    axis.legend(loc="upper left", frameon=False, fontsize=8, borderaxespad=0.1)
    axis.tick_params(labelsize=8)
    (ring,) = axis.plot([], [], "o", markersize=13, markerfacecolor="none", markeredgewidth=2.2)
    hair = {"color": "0.25", "linewidth": 0.8, "linestyle": "--"}
    return ring, *(axis.plot([], [], **hair)[0] for _ in range(2))


def _ring(axis: Axes, curve: pd.DataFrame, marker: str, colour: str) -> None:
    """Mark where validation clips put the equal cost."""
    point = curve[curve["threshold"] == "equal cost"].iloc[0]
    place = point["macs"] / 1e6, 100 * point["accuracy"]
    axis.plot(*place, marker=marker, markersize=8, color=colour, markeredgecolor="black",
              linestyle="", label="_")  # fmt: skip


def _columns(axis: Axes, table: ExitsTable) -> tuple[tuple[Line2D, ...], tuple[Text, ...]]:
    """Draw the floor on which the clips stand; return the clips and the counts above them."""
    clips, exits = min(len(table.fold), PAGE), 3 * EXITS
    wide = across(clips)
    high = max(4, -(-clips // wide))
    pitch = min(0.84 * COLUMN / wide, HEIGHT / high)
    size = min(8.0, 0.72 * 0.82 * pitch)
    axis.set(xlim=(-0.6, exits - 0.4), ylim=(0, 1.12 * high), yticks=[])
    axis.set_xticks(range(exits), [str(j % EXITS + 1) for j in range(exits)], fontsize=8)
    axis.spines["left"].set_visible(False)
    for number, modality in enumerate(table.order):
        middle = number * EXITS + 1.5
        axis.text(middle, -0.1, NAMES[modality], transform=axis.get_xaxis_transform(),
                  fontsize=8, ha="center", va="top")  # fmt: skip
        if number:
            axis.axvline(number * EXITS - 0.5, color="0.8", linewidth=1)
    axis.set_xlabel("\nexit that takes the clip", fontsize=9)
    edge = 0.2 * size
    stacks = [
        axis.plot([], [], linestyle="", markersize=size, **{"markeredgewidth": edge} | look)[0]
        for look in CLIPS.values()
    ]
    counts = [
        axis.text(j, 0.985, "0", transform=axis.get_xaxis_transform(), fontsize=8, ha="center",
                  va="top")
        for j in range(exits)
    ]  # fmt: skip
    return tuple(stacks), tuple(counts)
