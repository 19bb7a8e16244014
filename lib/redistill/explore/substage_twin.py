"""The static twin of the substage board: the strip, and the loss shares of every network."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from redistill.explore.substage_board import Board, Chain
from redistill.explore.substage_picture import FILL, HATCH, lanes_of, slots_of
from redistill.explore.substage_strip import Strip, draw_strip, frame_strip, tops_of
from redistill.methods.branches import ALL


def twin_figure(board: Board, chain: Chain) -> Figure:
    """Draw one arm: how the loss of each network fell, and what is left of it at the end."""
    lanes = lanes_of(board)
    high = 0.5 + max(0.55 * len(lanes), 0.2 * len(chain.nodes))
    widths = {"width_ratios": (2, 1)}
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, high), gridspec_kw=widths)
    frame_strip(left, lanes)
    draw_strip(left, Strip(chain, lanes, tops_of([chain])), narrow=True)
    _stack(right, chain, slots_of(board))
    figure.legend(loc="outside lower right", ncols=6, frameon=False, fontsize=8, handlelength=1.2)
    return figure


def _stack(axis: Axes, chain: Chain, slots: tuple[str, ...]) -> None:
    """Draw a bar for each network, its terms one behind the other."""
    names = []
    for row, node in enumerate(chain.nodes.values()):
        done, own = 0.0, {term.slot: 100 * term.share for term in node.terms}
        for slot in slots:
            share, label = own.get(slot, 0.0), slot if not row else ""
            look = {"color": FILL[slot], "hatch": HATCH[slot], "edgecolor": "white"}
            axis.barh(row, share, 0.72, left=done, label=label, **look)
            done += share
        role = node.role.split(" of ")[0].removesuffix(" student")
        names.append(role if node.branch == ALL else f"{node.branch}, {role}")
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set(xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
    axis.set_xticks([0, 50, 100], ["0", "50", "100 %"], fontsize=8)
    axis.set_title("shares of the loss at the end", fontsize=8, loc="right")
    axis.tick_params(axis="y", length=0)
