"""The picture of the substage board: strip, formula, loss shares, quality of the labels."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from redistill.explore.canvas import Canvas
from redistill.explore.substage_board import SYMBOLS, Board, Chain, Node, Turn
from redistill.explore.substage_strip import LOOK, Strip, draw_strip, frame_strip, tops_of
from redistill.methods.branches import ALL
from redistill.methods.recipes import KINDS
from redistill.substage_figures import BRANCH

HATCH = {
    "labels": "", "response": "//", "feature": "\\\\", "relation": "xx", "distribution": "..",
    "correlation": "++", "negative labels": "oo", "noise": "--",
}  # fmt: skip
FILL = {slot: LOOK.get(slot, "0.75") for slot in SYMBOLS} | {"labels": "0.45"}
_QUALITY = {  # what is drawn of a round: its line, marker and colour
    "right": ("accuracy", "-", "o", BRANCH["res"]),
    "right of the selected": ("selected_accuracy", "--", "s", BRANCH["fea"]),
    "selected": ("coverage", ":", "^", BRANCH["rel"]),
}
_CURVES = (
    "curves: mean training loss of each epoch, from 0, each branch to its own scale;  "
    "%: validation clips right at the end"
)
_BAR = 0.62  # height of a bar
_SMALL = {"fontsize": 8}


class _Scenes(Canvas):
    """A canvas with several backgrounds, each drawn once."""

    def __init__(
        self, figure: Figure, moving: list[Artist], groups: Mapping[str, list[Artist]], first: str
    ) -> None:
        self._groups, self._now = groups, first
        self._hide_all_but(first)
        super().__init__(figure, moving)
        self._stills = {first: self._still}

    def scene(self, name: str) -> None:
        """Show the artists of one group and hide the others; ``draw`` shows it."""
        if name == self._now:
            return
        self._hide_all_but(name)
        self._now = name
        if name in self._stills:
            self._still = self._stills[name]
        else:
            self.refresh()
            self._stills[name] = self._still

    def _hide_all_but(self, name: str) -> None:
        for other, group in self._groups.items():
            for artist in group:
                artist.set_visible(other == name)


class Picture:
    """Draws the board and moves what moves.

    Attributes:
        canvas: what is shown.
        strips: arm to where everything stands on its strip.
        cursor: ring on the strip.
        bars: slot to its bar of loss shares.
        band: behind the round that is shown.
        ring: on the accuracy of that round's labels.
        formula: the text of the loss.
    """

    def __init__(self, board: Board) -> None:
        lanes, tops = lanes_of(board), tops_of(board.chains.values())
        self.strips = {arm: Strip(chain, lanes, tops) for arm, chain in board.chains.items()}
        figure = plt.figure(figsize=(8, 4.5), layout="none")
        self._top = figure.add_axes((0.085, 0.56, 0.905, 0.39))
        self._left = figure.add_axes((0.135, 0.09, 0.20, 0.285))
        self._right = figure.add_axes((0.60, 0.09, 0.385, 0.24))
        frame_strip(self._top, lanes)
        figure.text(0.085, 0.522, _CURVES, color="0.35", **_SMALL)
        groups: dict[str, list[Artist]] = {}
        for arm, strip in self.strips.items():
            groups[arm] = [*draw_strip(self._top, strip), *_lines(self._right, strip.chain)]
        self._frame_shares(board)
        _frame_rounds(self._right, board)
        self.canvas = _Scenes(figure, self._movers(), groups, board.first)

    def _frame_shares(self, board: Board) -> None:
        slots, axis = slots_of(board), self._left
        axis.set(xlim=(0, 100), ylim=(len(slots) - 0.5, -0.5))
        axis.set_yticks(range(len(slots)), slots, **_SMALL)
        axis.set_xticks([0, 50, 100], ["0", "50", "100 %"], **_SMALL)
        axis.tick_params(axis="y", length=0)
        when = f"shares of the loss at the end of training, on {board.clips} training clips"
        axis.figure.text(0.012, 0.395, when, **_SMALL)
        self.bars = {
            slot: axis.barh(row, 0, _BAR, color=FILL[slot], hatch=HATCH[slot], edgecolor="white")[0]
            for row, slot in enumerate(slots)
        }
        self._values: dict[str, Text] = {
            slot: axis.text(106, row, "", va="center", **_SMALL) for row, slot in enumerate(slots)
        }

    def _movers(self) -> list[Artist]:
        look = {"markeredgecolor": "black", "markerfacecolor": "none", "linestyle": "none"}
        ring = look | {"marker": "o", "markersize": 11, "markeredgewidth": 1.6, "clip_on": False}
        box = {"facecolor": "none", "edgecolor": "black", "linewidth": 1.6}
        self._box = self._top.add_patch(Rectangle((0, 0), 0, 0, **box))
        self._line = self._top.plot([], [], color="black", linewidth=0.9, linestyle=":")[0]
        self.cursor = self._top.plot([], [], **ring)[0]
        self.band = self._right.axvspan(-0.4, 0.4, color="black", alpha=0.1, linewidth=0)
        self.ring = self._right.plot([], [], **ring)[0]
        self.formula = self._top.figure.text(0.012, 0.458, "", fontsize=9)
        self._loss = self._top.figure.text(0.985, 0.458, "", fontsize=9, ha="right")
        moving = [self._box, self._line, self.cursor, self.band, self.ring]
        return [*moving, self.formula, self._loss, *self.bars.values(), *self._values.values()]

    def move(self, arm: str, node: Node, *, epoch: int, round: int) -> None:
        """Show an arm, one of its networks, an epoch of it from 1, and a round from 0."""
        strip = self.strips[arm]
        self.canvas.scene(arm)
        left, top, wide, high = strip.box(node)
        self._box.set_bounds(left, top, wide, high)
        x, y = strip.point(node, epoch)
        self.cursor.set_data([x], [y])
        self._line.set_data([x, x], strip.room(node))
        where = node.role if node.branch == ALL else f"{node.branch} branch, {node.role}"
        self.formula.set_text(f"{where}:  {node.formula}")  # a text drawn before costs less
        loss = node.losses[epoch - 1]
        self._loss.set_text(f"epoch {epoch} of {len(node.losses)}: L = {loss:.3f}")
        self._share(node)
        self._turn(strip.chain.rounds[round], round)

    def _share(self, node: Node) -> None:
        own = {term.slot: term for term in node.terms}
        for slot, bar in self.bars.items():
            term = own.get(slot)
            bar.set_width(100 * term.share if term else 0)
            text = f"{100 * term.share:.1f} %   {term.weight:.3g} × {term.name}" if term else ""
            self._values[slot].set_text(text)

    def _turn(self, turn: Turn, round: int) -> None:
        self.band.set_x(round - 0.4)
        right = 100 * turn.quality.accuracy if turn.quality else float("nan")
        self.ring.set_data([round], [right])


def lanes_of(board: Board) -> tuple[str, ...]:
    """Return the branches that any arm has, as they are always ordered."""
    there = {branch for chain in board.chains.values() for branch in chain.branches}
    return tuple(kind for kind in KINDS.values() if kind in there)


def slots_of(board: Board) -> tuple[str, ...]:
    """Return the terms that any loss has, as they are always ordered."""
    nodes = [node for chain in board.chains.values() for node in chain.nodes.values()]
    there = {term.slot for node in nodes for term in node.terms}
    return tuple(slot for slot in SYMBOLS if slot in there)


def _lines(axis: Axes, chain: Chain) -> list[Artist]:
    """Draw the quality of an arm's labels, hollow where the guard undid a round."""
    known = [turn for turn in chain.rounds if turn.quality]
    found: list[Artist] = []
    for column, line, marker, colour in _QUALITY.values() if known else ():
        values = 100 * np.array([getattr(turn.quality, column) for turn in known])
        look = {"color": colour, "clip_on": False}
        found += axis.plot(range(len(values)), values, line, linewidth=1.2, **look)
        for place, (turn, value) in enumerate(zip(known, values, strict=True)):
            face = colour if turn.kept else "white"
            found += axis.plot(place, value, marker, markersize=5, markerfacecolor=face, **look)
    return found


def _frame_rounds(axis: Axes, board: Board) -> None:
    names: Sequence[str] = max((c.rounds for c in board.chains.values()), key=len)
    axis.set(xlim=(-0.5, len(names) - 0.5), ylim=(0, 100))
    labels = [f"{number}: {turn.name}" for number, turn in enumerate(names)]
    axis.set_xticks(range(len(names)), labels, **_SMALL)
    axis.set_yticks([0, 50, 100], ["0", "50", "100 %"], **_SMALL)
    judged = [turn.quality for turn in names if turn.quality]
    if not judged:
        axis.text(0.5, 0.5, "every label is trusted", transform=axis.transAxes, ha="center")
        return
    title = f"rounds of labels, {judged[0].clips} clips not trusted (hollow: undone)"
    axis.figure.text(0.56, 0.395, title, **_SMALL)
    for name, (_, line, marker, colour) in _QUALITY.items():
        axis.plot([], [], line, marker=marker, markersize=5, color=colour, label=name)
    place = {"loc": "lower right", "bbox_to_anchor": (1.02, 0.98), "borderaxespad": 0.2}
    axis.legend(ncols=3, frameon=False, columnspacing=1.0, handlelength=2.0, **place, **_SMALL)
