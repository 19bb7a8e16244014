"""The substage board: every control, the cursor, the sentence, and boards with little on them."""

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from told_board import told_board, told_chain, told_node, told_turn

from redistill.explore import substage
from redistill.explore.substage import panel_of
from redistill.explore.substage_board import Chain, board_table
from redistill.explore.substage_picture import Picture, slots_of
from redistill.figures import style


@pytest.fixture(autouse=True, scope="module")
def styled():
    with matplotlib.rc_context():
        matplotlib.use("agg")
        style()
        yield


@pytest.fixture
def pictures(monkeypatch):
    """Keep the pictures that panels are made with."""
    kept = []

    class Kept(Picture):
        def __init__(self, board):
            super().__init__(board)
            kept.append(self)

    monkeypatch.setattr(substage, "Picture", Kept)
    return kept


# Every control, on a board told by hand.


def test_every_network_epoch_and_round_is_shown_and_said(pictures):
    board = told_board(told_chain(assistants=1), told_chain("staged_m0", assistants=0))
    panel = panel_of(board)
    (picture,) = pictures
    panel.canvas.draw = lambda: None  # the artists are looked at here, not the pixels
    for arm, chain in board.chains.items():
        for branch in chain.branches:
            for role, node in chain.along(branch).items():
                panel.set(arm=arm, branch=branch, network=role)
                for epoch in range(len(node.losses), 0, -1):
                    panel.set(epoch=epoch)
                    assert_shown(panel, picture, board, node, epoch)
    panel.set(arm="staged")
    for round in range(4):
        panel.set(round=round)
        turn = board.chains["staged"].rounds[round]
        assert f"Labels of round {round} ({turn.name}" in panel.said
        assert f"right for {100 * turn.quality.accuracy:.1f} % of 40 clips" in panel.said
        assert ("undone" in panel.said) == (round == 2)
        chosen = f"; {15.0 * round:.1f} % are selected"
        right = f", of which {0.9 * (10 + 20 * round):.1f} % are right" if round else ""
        assert panel.said.endswith(f"{chosen}{right}.")
        (x,), (y,) = picture.ring.get_data()
        assert (x, y) == (round, pytest.approx(100 * turn.quality.accuracy))
        assert picture.band.get_x() + picture.band.get_width() / 2 == pytest.approx(round)


def assert_shown(panel, picture, board, node, epoch):
    said, arm = panel.said, panel.values["arm"]
    assert (
        f"epoch {epoch} of {len(node.losses)}, mean training loss {node.losses[epoch - 1]:.3f}"
        in said
    )
    assert f"{100 * node.accuracy:.1f} % of 16 validation clips" in said
    assert f"on labels of round {node.round}:" in said
    assert f"Labels of round {node.round} " in said
    own = {term.slot: term for term in node.terms}
    total = sum(term.value for term in node.terms)
    assert f"its loss on 32 training clips is {total:.3f}: " in said
    for slot, bar in picture.bars.items():
        share = own[slot].value / total if slot in own else 0
        assert bar.get_width() == pytest.approx(100 * share)
        assert (f"{slot} {100 * share:.1f} %" in said) == (slot in own)
    assert node.formula in picture.formula.get_text()
    (x,), (y,) = picture.cursor.get_data()
    count = picture.strips[arm].columns
    assert math.floor(x * count) == node.column
    left, _, wide, _ = picture.strips[arm].box(node)
    assert x == pytest.approx(left + wide * (epoch - 0.5) / len(node.losses))
    lane = 0.5 if node.branch == "all" else ["response", "relation"].index(node.branch)
    assert lane < y < lane + 1
    losses = [
        loss for chain in board.chains.values() for n in chain.nodes.values()
        if n.branch == node.branch for loss in n.losses
    ]  # fmt: skip
    assert lane + 1 - y == pytest.approx(0.10 + 0.56 * node.losses[epoch - 1] / max(losses))


def test_controls_follow_each_other(pictures):
    """Epoch and round go to those of a newly chosen network, unless they are chosen with it."""
    panel = panel_of(told_board(told_chain(assistants=2), told_chain("takd", kinds=("response",))))
    assert panel.values == {
        "arm": "staged", "branch": "response", "network": "student", "epoch": 3, "round": 3,
    }  # fmt: skip
    panel.set(branch="relation")
    assert (panel.values["epoch"], panel.controls["epoch"].max) == (4, 4)
    panel.set(network="assistant 2 of 2")
    assert panel.values["round"] == 2
    panel.set(network="teacher", epoch=1, round=3)
    assert (panel.values["epoch"], panel.values["round"]) == (1, 3)
    panel.set(branch="relation", network="student")
    panel.set(arm="takd")  # has neither this branch nor this many rounds
    assert panel.controls["branch"].options == ("response",)
    assert panel.controls["network"].options == ("teacher", "assistant 1 of 1", "student")
    assert panel.values["network"] == "student"
    assert panel.controls["round"].max == 3
    assert panel.said.startswith("Response branch, student")
    panel.set(arm="staged")
    assert panel.controls["branch"].options == ("response", "relation")


def test_a_hand_on_a_slider_moves_the_picture_once(pictures):
    panel = panel_of(told_board())
    before, drawn = panel.canvas.widget.value, []
    panel.canvas.widget.observe(lambda change: drawn.append(change), "value")
    panel.controls["epoch"].value = 1
    assert panel.canvas.widget.value != before
    assert len(drawn) == 1
    panel.controls["network"].value = "teacher"  # takes epoch and round along
    assert len(drawn) == 2


def test_only_the_artists_of_the_arm_are_there(pictures):
    board = told_board(told_chain(assistants=2), told_chain("staged_m0", assistants=0))
    panel = panel_of(board)
    first = panel.canvas.widget.value
    panel.set(arm="staged_m0")
    other = panel.canvas.widget.value
    panel.set(arm="staged")
    panel.set(branch="response", network="student")
    panel.set(epoch=3, round=3)
    assert panel.canvas.widget.value == first != other


# Little to show.


def test_a_chain_of_one_network_and_one_round(pictures):
    node = told_node("teacher", "teacher", "all", 0, [0.0], round=0, terms=(("labels", 1.0, 0.0),))
    chain = Chain("staged", {"teacher": node}, (told_turn("initial", 0.25, coverage=0.0),))
    panel = panel_of(told_board(chain))
    assert (panel.values["epoch"], panel.values["round"]) == (1, 0)
    assert (panel.controls["epoch"].max, panel.controls["round"].max) == (1, 0)
    assert "epoch 1 of 1, mean training loss 0.000" in panel.said
    assert "is 0.000: labels 0.0 %" in panel.said
    assert panel.said.endswith("25.0 % of 40 clips not trusted; 0.0 % are selected.")
    _, table = panel._twin()
    assert len(table) == 1


def test_long_training_and_many_levels_stay_inside_the_picture(pictures):
    chain = told_chain(assistants=3, kinds=("response", "relation"))
    nodes = {
        name: replace(node, losses=tuple(np.linspace(5, 1, 400)))
        for name, node in chain.nodes.items()
    }
    panel = panel_of(told_board(replace(chain, nodes=nodes)))
    (picture,) = pictures
    assert picture.strips["staged"].columns == 6
    figure = panel.canvas.figure
    texts = [t for axis in figure.axes for t in axis.texts if t.get_text()] + figure.texts
    for text in texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1, text.get_text()
    names = sorted(
        (t.get_window_extent() for t in picture._top.texts if "round" not in t.get_text()),
        key=lambda box: (box.y0, box.x0),
    )
    for one in names:
        for other in names:
            assert one is other or not one.overlaps(other)


# The twin.


def test_the_twin_is_the_table_of_all_networks(pictures):
    board = told_board(told_chain(assistants=1))
    table = board_table(board.chains["staged"])
    assert table.columns.tolist() == [
        "network", "taught_by", "round", "epochs", "first_loss", "last_loss", "validation",
        "labels", "response", "relation",
    ]  # fmt: skip
    assert slots_of(board) == ("labels", "response", "relation")
    shares = table[["labels", "response", "relation"]].astype(float).fillna(0).sum(axis=1)
    assert shares.tolist() == pytest.approx([1.0] * len(table))
    for line in table.itertuples():
        node = board.chains["staged"].nodes[line.network]
        assert (line.first_loss, line.last_loss) == (node.losses[0], node.losses[-1])
        assert line.epochs == len(node.losses)
