"""The weighted scores of the clip inspector, as bars that add up."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from redistill.explore.clip_pictures import LETTERS
from redistill.explore.clip_scores import ClipScores, short
from redistill.explore.parts import Part, around
from redistill.figures import COLOURS, NAMES
from redistill.methods.wise import EXITS, order_of

THICK = (0.5, 0.34, 0.2)  # of the networks' parts of a sum, in their order: not by colour alone


class Scale(Part):
    """The axis under ``Sums``, whose span is that of the clip."""

    def __init__(self, axis: Axes) -> None:
        """``axis`` of ``Sums``."""
        self._axis = axis
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.tick_params(labelsize=LETTERS, pad=1)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set_xlabel("weighted scores; black: their sum", fontsize=LETTERS, labelpad=1)
        left, bottom, right, _ = around(axis, left=0.3, right=0.12, below=0.38)
        super().__init__([axis.xaxis], (left, bottom, right, axis.get_position().y0))

    def draw(self, low: float, high: float) -> None:
        """Let the axis reach from ``low`` to ``high``."""
        self._axis.set_xlim(low, high)


class Sums(Part):
    """Two bars that add up: what each exit passed adds to the score of two classes."""

    def __init__(self, axis: Axes, classes: Sequence[str], order: str) -> None:
        """``classes``: their names; ``order`` of the networks."""
        self._classes, self._bars, self._texts, self._ends = classes, [], [], []
        looks = list(zip(order_of(order), THICK, strict=True))
        for row in (0, 1):
            self._bars.append(
                [
                    axis.barh(row, 0, thick, color=COLOURS[m], edgecolor="w", lw=0.8)[0]
                    for m, thick in looks
                    for _ in range(EXITS)
                ]
            )
            at = {"fontsize": LETTERS, "transform": axis.get_yaxis_transform()}
            self._texts.append(axis.text(0, row - 0.3, "", va="bottom", **at))
            self._ends += axis.plot([0, 0], [row - 0.3, row + 0.3], color="k", lw=2.2)
        (zero,) = axis.plot([0] * 5, [-0.3, 0.3, np.nan, 0.7, 1.4], color="0.3", lw=0.8)
        axis.set_ylim(1.4, -0.75)
        names = [Patch(color=COLOURS[m], label=NAMES[m]) for m, _ in looks]
        names[0].set_label(f"{names[0].get_label()} (thick)")
        names[-1].set_label(f"{names[-1].get_label()} (thin)")
        way = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0, "ncols": 3}
        way |= {"handlelength": 1.0, "columnspacing": 1.0, "handletextpad": 0.4}
        axis.legend(handles=names, fontsize=LETTERS, frameon=False, **way)
        bars = [bar for row in self._bars for bar in row]
        super().__init__([*bars, zero, *self._ends, *self._texts], around(axis, right=0.12))

    def draw(self, clip: ClipScores, after: int) -> None:
        """Show what is said and its rival after so many exits."""
        rival = clip.rival(after)
        roles = ("says", "true") if rival == clip.label else ("says, true", "next")
        for row, label in enumerate((clip.says[after - 1], rival)):
            parts = clip.parts(after, label)
            stack(self._bars[row], parts)
            self._ends[row].set_xdata([sum(parts)] * 2)
            text = f"{roles[row]}: {short(self._classes[label])}, sum {sum(parts):.3f}"
            self._texts[row].set_text(text)


def stack(bars: Sequence[Artist], parts: Sequence[float]) -> None:
    """Put positive parts end to end to the right of 0, negative ones to the left."""
    ends = [0.0, 0.0]
    for n, bar in enumerate(bars):
        bar.set_visible(n < len(parts))
        if n < len(parts):
            side = int(parts[n] < 0)
            bar.set_x(ends[side])
            bar.set_width(parts[n])
            ends[side] += parts[n]


def span(clip: ClipScores) -> tuple[float, float]:
    """Return the ends of the longest stacks of a clip, over all numbers of exits, rounded up."""
    low = high = 0.0
    for after in range(1, len(clip.names) + 1):
        for label in (clip.says[after - 1], clip.rival(after)):
            parts = clip.parts(after, label)
            low = min(low, sum(part for part in parts if part < 0))
            high = max(high, sum(part for part in parts if part > 0))
    ends = round_up(high), round_up(-low)
    small = max(ends) / 10 or 1.0  # some room on the side that has nothing
    return -max(ends[1], small), max(ends[0], small)


def round_up(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 5, 7, 10, ...: clips of one scale share an axis."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** np.floor(np.log10(value))
    return next(step * unit for step in (1, 1.5, 2, 3, 5, 7, 10, 15) if step * unit >= value)
