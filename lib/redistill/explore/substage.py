"""The substage board: who learned what from whom, when, under which loss and on which labels."""

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from redistill.explore.panel import Panel
from redistill.explore.substage_board import Board, Node, Turn, board_table
from redistill.explore.substage_gather import board_of
from redistill.explore.substage_picture import Picture
from redistill.explore.substage_twin import twin_figure
from redistill.feeds import Feeds
from redistill.methods.branches import ALL
from redistill.methods.substage import SubstageConfig
from redistill.methods.substage_study import SubstageStudy
from redistill.video.weak_labels import WeakLabels


def substage_board(
    config: SubstageConfig,
    study: SubstageStudy,
    feeds: Feeds,
    weak: WeakLabels,
    *,
    classes: int,
    device: str,
) -> Panel:
    """Return the board of one fold.

    Args:
        config: of the run.
        study: of a fold.
        feeds: of the same fold.
        weak: of the same fold; it stays sealed.
        classes: number of classes.
        device: ``cpu`` or ``cuda``.

    Raises:
        RedistillError: as ``redistill.explore.substage_gather.board_of``.
    """
    return panel_of(board_of(config, study, feeds, weak, classes=classes, device=device))


def panel_of(board: Board) -> Panel:
    """Return the instrument over tables that are there."""
    arm, picture = board.first, Picture(board)
    chain = board.chains[arm]
    controls = _controls(board, arm)
    follow = _Follow(board, controls)

    def react(**chosen: Any) -> str:
        node, epoch, round = follow(**chosen)
        picture.move(chosen["arm"], node, epoch=epoch, round=round)
        turns = board.chains[chosen["arm"]].rounds
        return f"{_edge(board, node, epoch)} {_labels(turns[round], round)}"

    return Panel(
        name="board",
        controls=controls,
        canvas=picture.canvas,
        react=react,
        twin=lambda: (twin_figure(board, chain), board_table(chain)),
        caption=(
            f"The arm {arm}: training loss of each network over its epochs, from 0, each branch to "
            f"its own scale; and the terms of its loss at the end, on {board.clips} training clips."
        ),
        free=True,
    )


def _controls(board: Board, arm: str) -> dict[str, widgets.ValueWidget]:
    chain = board.chains[arm]
    branch = (chain.branches or (ALL,))[0]
    along = chain.along(branch)
    role = next(reversed([r for r, node in along.items() if node.branch != ALL] or list(along)))
    node = along[role]
    epochs, last = len(node.losses), len(chain.rounds) - 1
    found = {
        "arm": widgets.Dropdown(options=list(board.chains), value=arm, description="arm"),
        "branch": widgets.ToggleButtons(
            options=chain.branches or (ALL,), value=branch, description="branch"
        ),
        "network": widgets.Dropdown(options=list(along), value=role, description="network"),
        "epoch": widgets.IntSlider(epochs, 1, epochs, description="epoch"),
        "round": widgets.IntSlider(node.round, 0, last, description="round of labels"),
    }
    found["branch"].style.button_width = "auto"
    found["branch"].layout.display = "flex"  # else its buttons stand below its name
    found["branch"].layout.width = "max-content"
    for name in ("arm", "network"):
        found[name].layout.width = "max-content"
    for name in ("epoch", "round"):
        found[name].layout.width = "270px"
    return found


class _Follow:
    """Lets controls follow one another: networks their branch, epochs and round their network."""

    def __init__(self, board: Board, controls: Mapping[str, widgets.ValueWidget]) -> None:
        self._board, self._controls = board, controls
        self._before = {name: control.value for name, control in controls.items()}

    def __call__(
        self, *, arm: str, branch: str, network: str, epoch: int, round: int
    ) -> tuple[Node, int, int]:
        """Return the network chosen, its epoch and the round, the controls being set to them."""
        chain, before = self._board.chains[arm], self._before
        branch = self._choose("branch", chain.branches or (ALL,), branch, 0)
        along = chain.along(branch)
        network = self._choose("network", tuple(along), network, len(along) // 2)
        node = along[network]
        moved = (arm, branch, network) != tuple(before[x] for x in ("arm", "branch", "network"))
        if moved and round == before["round"]:
            round = node.round  # the labels that it learned from
        if moved and epoch == before["epoch"]:
            epoch = len(node.losses)
        epoch = self._slide("epoch", epoch, len(node.losses))
        round = self._slide("round", round, len(chain.rounds) - 1)
        self._before = {
            "arm": arm, "branch": branch, "network": network, "epoch": epoch, "round": round,
        }  # fmt: skip
        return node, epoch, round

    def _choose(self, name: str, options: tuple[str, ...], value: str, other: int) -> str:
        """Offer these options, and keep the value if it is among them."""
        control, value = self._controls[name], value if value in options else options[other]
        if tuple(control.options) != options:
            control.options = options
        control.value = value
        return value

    def _slide(self, name: str, value: int, highest: int) -> int:
        control, value = self._controls[name], min(value, highest)
        control.max = highest
        control.value = value
        return value


def _edge(board: Board, node: Node, epoch: int) -> str:
    """Say what a network learned, and how far it is at an epoch."""
    where = node.role if node.branch == ALL else f"{node.branch} branch, {node.role}"
    taught = f"taught by {node.teachers}" if node.teachers else "taught by labels alone"
    value = sum(term.value for term in node.terms)
    terms = ", ".join(f"{term.slot} {100 * term.share:.1f} %" for term in node.terms)
    return (
        f"{where[0].upper()}{where[1:]} (width {node.width}), {taught}, on labels of round "
        f"{node.round}: epoch {epoch} of {len(node.losses)}, mean training loss "
        f"{node.losses[epoch - 1]:.3f}. At the end of training it is right on "
        f"{100 * node.accuracy:.1f} % of {board.val_clips} validation clips, and its loss on "
        f"{board.clips} training clips is {value:.3f}: {terms}."
    )


def _labels(turn: Turn, round: int) -> str:
    """Say how good the labels of a round are."""
    undone = "" if turn.kept else ", undone by the guard, so those of the round before"
    who = f"Labels of round {round} ({turn.name}{undone})"
    if turn.quality is None:
        return f"{who}: every one is trusted."
    q = turn.quality
    chosen = f"{100 * q.coverage:.1f} % are selected"
    if q.coverage:
        chosen += f", of which {100 * q.selected_accuracy:.1f} % are right"
    return f"{who} are right for {100 * q.accuracy:.1f} % of {q.clips} clips not trusted; {chosen}."
