"""The clip inspector below and beside its pictures: what the exits make of a clip."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from redistill.explore.clip_pictures import LETTERS
from redistill.explore.clip_scores import ClipScores, short
from redistill.explore.clip_sums import Scale, Sums, span
from redistill.explore.parts import Part, around
from redistill.figures import NAMES
from redistill.methods.wise import EXITS, order_of

ROWS = 12  # classes that are shown at most


class Path(Part):
    """The share of the class that WISE says, exit by exit, and where the clip leaves."""

    def __init__(self, axis: Axes, order: str) -> None:
        """``order`` of the networks."""
        networks, count = order_of(order), EXITS * len(order_of(order))
        for n, name in enumerate(networks):
            axis.axvline(EXITS * n + 0.5, color="0.6", lw=0.8)
            middle = EXITS * n + 0.5 + EXITS / 2
            axis.text(middle, 114, NAMES[name], fontsize=LETTERS, ha="center", va="center")
        axis.set_xlim(0.5, count + 0.5)
        axis.set_ylim(0, 122)
        axis.set_xticks(range(1, count + 1))
        axis.set_yticks([0, 50, 100])
        axis.tick_params(labelsize=LETTERS, pad=1)
        axis.set_xlabel("after exit; ring: it leaves", fontsize=LETTERS, labelpad=1)
        axis.set_ylabel("WISE, %", fontsize=LETTERS, labelpad=1)
        axis.set_title("● right, × wrong, - - threshold", fontsize=LETTERS, loc="left", pad=3)
        self._chosen = axis.axvspan(0.6, 1.4, ymax=100 / 122, color="0.3", alpha=0.25, lw=0)
        (self._limit,) = axis.plot([0.5, count + 0.5], [0, 0], color="0.3", ls="--", lw=1)
        look = {"ls": "", "markersize": 6, "markeredgewidth": 1.6, "clip_on": False}
        (self._right,) = axis.plot([], [], "o", color="#0072B2", **look)
        (self._wrong,) = axis.plot([], [], "x", color="#D55E00", **look)
        (self._left,) = axis.plot([], [], "o", ls="", mfc="none", mec="0.1", markersize=12)
        moving = [self._chosen, self._limit, self._right, self._wrong, self._left]
        super().__init__(moving, around(axis, below=0.05))

    def draw(self, clip: ClipScores, after: int) -> None:
        """Show a clip and the number of exits that is looked at."""
        sure = 100 * clip.shares.amax(-1).numpy()
        right = np.array(clip.says) == clip.label
        places = np.arange(1, len(sure) + 1)
        self._right.set_data(places[right], sure[right])
        self._wrong.set_data(places[~right], sure[~right])
        self._left.set_data([clip.left + 1], [sure[clip.left]])
        self._chosen.set_x(after - 0.4)
        self._limit.set_ydata([100 * min(clip.threshold, 1.0)] * 2)


class Names(Part):
    """The names of the classes that are shown, where they depend on the clip."""

    def __init__(self, axis: Axes, classes: Sequence[str]) -> None:
        """``axis`` of ``Shares``; ``classes``: their names."""
        self._classes = classes
        way = {"fontsize": LETTERS, "va": "center", "ha": "right"}
        way |= {"transform": axis.get_yaxis_transform()}
        texts = [
            axis.text(-0.1, row, short(name), **way) for row, name in enumerate(classes[:ROWS])
        ]
        left, bottom, right, top = around(axis, left=1.7)
        right -= 2.05 / axis.figure.get_figwidth()  # the star is beyond
        super().__init__(texts if len(classes) > ROWS else [], (left, bottom, right, top))

    def draw(self, clip: ClipScores) -> None:
        """Show the classes of a clip."""
        for text, label in zip(self.moving, likeliest(clip), strict=False):
            text.set_text(short(self._classes[label]))


class Shares(Part):
    """A bar for each class: its probability by all exits passed, a diamond by the exit alone."""

    def __init__(self, axis: Axes, classes: Sequence[str]) -> None:
        """``classes``: of more than ``ROWS`` the likeliest of a clip are shown."""
        rows = np.arange(min(ROWS, len(classes)))
        self._bars = axis.barh(rows, 0 * rows, height=0.62, color="#56B4E9")
        (self._alone,) = axis.plot(0 * rows, rows, "D", mfc="none", mec="0.1", ms=4.5, ls="")
        way = {"fontsize": LETTERS, "va": "center", "transform": axis.get_yaxis_transform()}
        self._said = axis.text(1.02, 0, "", ha="left", **way)
        (self._true,) = axis.plot([-5], [0], "*", color="0.1", ms=8, clip_on=False)
        axis.set_xlim(0, 103)
        axis.set_ylim(max(len(rows), 6) - 0.4, -0.6)
        axis.set_yticks([])
        axis.set_xticks([0, 50, 100])
        axis.tick_params(labelsize=LETTERS, pad=1)
        axis.set_xlabel("probability, %", fontsize=LETTERS, labelpad=1)
        title = "★ true; bar: WISE, ◇ the exit alone"
        axis.text(1.3, 1.02, title, fontsize=LETTERS, ha="right", transform=axis.transAxes)
        box = around(axis, left=0.15, right=0.55)
        super().__init__([*self._bars, self._alone, self._true, self._said], box)

    def draw(self, clip: ClipScores, after: int) -> None:
        """Show the classes of a clip after so many exits."""
        shown = likeliest(clip)
        shares, alone = (100 * each[after - 1, shown] for each in (clip.shares, clip.alone))
        for bar, label, share in zip(self._bars, shown, shares.tolist(), strict=True):
            bar.set_width(share)
            bar.set_edgecolor("0.1" if label == clip.label else "none")
        self._alone.set_xdata(alone.numpy())
        self._true.set_ydata([shown.index(clip.label)])
        row = shown.index(clip.says[after - 1])
        self._said.set_y(row)
        self._said.set_text(f"◂ {shares[row]:.0f} %")


def likeliest(clip: ClipScores) -> list[int]:
    """Return up to ``ROWS`` classes of a clip, in order: its own, all it is said to be, others."""
    best = clip.shares.amax(0)
    best[clip.says] += 1
    best[clip.label] += 2
    return sorted(best.argsort(descending=True, stable=True)[:ROWS].tolist())


class Exits:
    """All that is drawn of what the exits say."""

    def __init__(self, axes: Mapping[str, Axes], classes: Sequence[str], order: str) -> None:
        """``axes``: path, shares and sums of ``layout``; ``order`` of the networks."""
        self._path, self._shares = Path(axes["path"], order), Shares(axes["shares"], classes)
        self._sums, self._scale = Sums(axes["sums"], classes, order), Scale(axes["sums"])
        self._names = Names(axes["shares"], classes)
        self.parts = self._path, self._names, self._shares, self._scale, self._sums

    def show(self, clip: ClipScores, after: int) -> None:
        """Show a clip after so many exits."""
        for part in (self._path, self._shares, self._sums):
            part.show(clip, after)
        self._names.show(clip)
        self._scale.show(*span(clip))


def layout(
    pictures: Sequence[str], *, columns: int, side: float, gap: float = 0.06
) -> tuple[plt.Figure, dict[str, Axes]]:
    """Return an empty figure and its axes by name: pictures, then path, shares and sums.

    Args:
        pictures: names of ``redistill.explore.clip_pictures.TITLES``, row by row.
        columns: of pictures.
        side: of a picture, inches.
        gap: between pictures of a row, inches.
    """
    down = -(-len(pictures) // columns) * (side + 0.2)
    left = columns * (side + gap) + 0.1
    width, height = left + 4.3, max(down, 1.9) + 1.72
    figure = plt.figure(figsize=(width, height), layout="none")

    def add(x: float, y: float, w: float, h: float) -> Axes:
        return figure.add_axes((x / width, y / height, w / width, h / height))

    axes = {}
    for n, name in enumerate(pictures):
        x, y = gap + n % columns * (side + gap), height - (1 + n // columns) * (side + 0.2)
        axes[name] = add(x, y, side, side)
    axes["path"] = add(0.5, 0.38, left - 0.7, height - down - 0.78)
    axes["sums"] = add(left + 0.15, 0.38, 3.95, 0.95)
    axes["shares"] = add(left + 1.8, 1.98, 1.9, height - 2.2)
    return figure, axes
