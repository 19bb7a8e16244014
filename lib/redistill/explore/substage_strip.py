"""The cascade as a strip: a lane for each branch, a box for each network, a curve of its epochs.

What a colour says, a marker and a place say too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from redistill.explore.substage_board import Chain, Node
from redistill.methods.branches import ALL
from redistill.methods.recipes import KINDS
from redistill.substage_figures import BRANCH

LOOK = {KINDS.get(key, key): colour for key, colour in BRANCH.items()}
MARKER = {"response": "o", "feature": "s", "relation": "^", ALL: "D"}
EDGE, ROOF, FLOOR = 0.06, 0.66, 0.10  # of a box: beside it; of the curve's room in its lane
_NARROW = 5  # columns, from which on a box has no room for its accuracy


@dataclass(frozen=True)
class Strip:
    """Where everything stands on the strip of one arm; both coordinates run from 0.

    Attributes:
        chain: the arm.
        lanes: branches of the board from the top down.
        tops: loss at the top of a curve's room, by branch; the room begins at a loss of 0.
    """

    chain: Chain
    lanes: Sequence[str]
    tops: Mapping[str, float]

    @property
    def columns(self) -> int:
        """Teacher, levels, deployed student."""
        return 1 + max(node.column for node in self.chain.nodes.values())

    def lane(self, node: Node) -> float:
        """Return where the lane of a curve begins; what is of all branches stands in the middle."""
        return (
            max(0, len(self.lanes) - 1) / 2 if node.branch == ALL else self.lanes.index(node.branch)
        )

    def box(self, node: Node) -> tuple[float, float, float, float]:
        """Return left, upper end, width and height; what is of all branches is as high as all."""
        wide = (1 - EDGE) / self.columns
        first, high = (0, max(1, len(self.lanes))) if node.branch == ALL else (self.lane(node), 1)
        left = node.column / self.columns + EDGE / (2 * self.columns)
        return left, first + EDGE / 2, wide, high - EDGE

    def point(self, node: Node, epoch: int) -> tuple[float, float]:
        """Return the place of an epoch, counted from 1; the lower the loss, the lower it lies."""
        left, _, wide, _ = self.box(node)
        along = (epoch - 0.5) / len(node.losses)
        high = (ROOF - FLOOR) * min(1.0, node.losses[epoch - 1] / self.tops[node.branch])
        return left + wide * along, self.lane(node) + 1 - FLOOR - high

    def room(self, node: Node) -> tuple[float, float]:
        """Return upper and lower end of the room of a curve."""
        return self.lane(node) + 1 - ROOF, self.lane(node) + 1 - FLOOR


def tops_of(chains: Iterable[Chain]) -> dict[str, float]:
    """Return the largest loss of each branch: losses of different branches are no one measure."""
    tops: dict[str, float] = {}
    for node in (node for chain in chains for node in chain.nodes.values()):
        tops[node.branch] = max(tops.get(node.branch, 0.0), *node.losses) or 1.0
    return tops


def draw_strip(axis: Axes, strip: Strip, *, narrow: bool = False) -> list[Artist]:
    """Draw the boxes and curves of an arm, and which labels each level learned from.

    ``narrow`` leaves out what has no room in narrow boxes.
    """
    narrow = narrow or strip.columns > _NARROW
    found: list[Artist] = []
    for node in strip.chain.nodes.values():
        left, top, wide, high = strip.box(node)
        colour = LOOK[node.branch]
        box = Rectangle((left, top), wide, high, facecolor="0.96", edgecolor="0.7", linewidth=0.8)
        found.append(axis.add_patch(box))
        points = [strip.point(node, epoch + 1) for epoch in range(len(node.losses))]
        marks = {"marker": MARKER[node.branch], "markersize": 3.5}
        marks["markevery"] = max(1, -(-len(points) // 12))
        found += axis.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, **marks)
        text = _text(node, narrow=narrow)
        place = left + 0.012, strip.lane(node) + 0.09
        found.append(axis.text(*place, text, fontsize=8, va="top", color="0.15"))
    for column in range(strip.columns):
        rounds = {n.round for n in strip.chain.nodes.values() if n.column == column}
        text = f"round {min(rounds)}" if narrow else f"labels of round {min(rounds)}"
        middle = (column + 0.5) / strip.columns, -0.06
        found.append(axis.text(*middle, text, fontsize=8, ha="center", color="0.35"))
    return found


def _text(node: Node, *, narrow: bool) -> str:
    name = node.role.split(" of ")[0].removesuffix(" student")
    return name if narrow else f"{name}: {100 * node.accuracy:.1f} %"


def frame_strip(axis: Axes, lanes: Sequence[str]) -> None:
    """Set limits and names of the lanes, the same for all arms."""
    axis.set(xlim=(0, 1), ylim=(max(1, len(lanes)), 0), xticks=[])
    names = [f"{lane}\nbranch" for lane in lanes]
    axis.set_yticks([number + 0.5 for number in range(len(lanes))], names, fontsize=8)
    for label, lane in zip(axis.get_yticklabels(), lanes, strict=True):
        label.set_color(LOOK[lane])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
