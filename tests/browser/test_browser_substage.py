"""The substage board in JupyterLab: every control by mouse and by keyboard."""

import os
import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "explore"
CELLS = [
    f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from told_board import told_board, told_chain
from redistill.explore.substage import panel_of
from redistill.figures import style
style()
told = told_board(told_chain(assistants=2), told_chain("staged_m0", assistants=0))
board = panel_of(told)
board.show()
""",
    """
def epoch_of(arm, name, number):
    return told.chains[arm].nodes[name].losses[number - 1]
def right(arm, number):
    return told.chains[arm].rounds[number].quality.accuracy
""",
]


def test_every_control_of_the_board(lab):
    page = lab.run_cells(CELLS)
    panel = page.panel("board")

    def says(name, epoch, round, *, arm="staged"):
        said, values = panel.said(), page.kernel("board.values")
        loss = page.kernel(f"epoch_of({arm!r}, {name!r}, {epoch})")
        right = page.kernel(f"right({arm!r}, {round})")
        assert f": epoch {epoch} of " in said
        assert f"mean training loss {loss:.3f}." in said
        assert re.search(rf"Labels of round {round} .* right for {100 * right:.1f} % of 40", said)
        assert (values["arm"], values["epoch"], values["round"]) == (arm, epoch, round)

    says("res 3", 3, 3)
    first = panel.picture()
    panel.click("branch", "relation")
    says("rel 3", 4, 3)
    assert panel.picture() != first
    panel.press("branch", "Enter")  # the first of the buttons
    says("res 3", 3, 3)
    panel.click("branch", "relation")
    panel.choose("network", "assistant 1 of 2")
    says("rel 1", 4, 1)
    panel.press("network", "ArrowDown")
    says("rel 2", 4, 2)
    panel.drag("epoch", 0.0)
    says("rel 2", 1, 2)
    panel.press("epoch", "ArrowRight", times=2)
    says("rel 2", 3, 2)
    panel.drag("round", 0.0)
    says("rel 2", 3, 0)
    panel.press("round", "ArrowRight")
    says("rel 2", 3, 1)
    panel.choose("network", "deployed student")
    assert panel.said().startswith("Deployed student")
    panel.choose("arm", "staged_m0")
    assert page.kernel("list(board.controls['network'].options)") == [
        "teacher", "student", "deployed student",
    ]  # fmt: skip
    panel.choose("network", "student")
    says("rel 1", 4, 1, arm="staged_m0")
    panel.press("arm", "ArrowUp")
    assert page.kernel("board.values['arm']") == "staged"
    assert page.errors == []
    keep = os.environ.get("REDISTILL_BROWSER_PICTURES")
    if keep:
        page.screenshot(Path(keep) / "board.png")
        print("latencies, ms:", sorted(round(x) for x in panel.latencies))


def test_the_board_of_the_notebook(lab):
    page = lab.run_notebook("1_substage_kd")
    if "board" not in page.panels():
        pytest.skip("the stored notebook 1 has no board yet; its text twin has")
    panel = page.panel("board")
    staged = "studies[-1].cascades['staged']"
    panel.click("branch", "relation")
    panel.drag("epoch", 0.0)
    loss = page.kernel(f"{staged}.networks['rel', 2].journal[0]['loss']")
    assert panel.said().startswith("Relation branch, student (width 4), taught by assistant 1")
    assert f"epoch 1 of 5, mean training loss {loss:.3f}." in panel.said()
    panel.press("epoch", "ArrowRight")
    loss = page.kernel(f"{staged}.networks['rel', 2].journal[1]['loss']")
    assert f"epoch 2 of 5, mean training loss {loss:.3f}." in panel.said()
    right = page.kernel("float(rounds['accuracy'].iloc[2])")  # of one fold the table of all
    assert f"are right for {100 * right:.1f} % of 144 clips" in panel.said()
    panel.choose("network", "deployed student")
    hits = page.kernel(
        "(studies[-1].arms['staged_single'].logits['val'].argmax(1)"
        " == studies[-1].labels['val']).double().mean().item()"
    )
    assert f"{100 * hits:.1f} % of 96 validation clips" in panel.said()
    panel.press("round", "ArrowLeft")
    assert "Labels of round 2 " in panel.said()
    panel.choose("arm", "staged_m0")
    assert page.kernel("board.values['arm']") == "staged_m0"
    assert page.errors == []
    keep = os.environ.get("REDISTILL_BROWSER_PICTURES")
    if keep:
        page.screenshot(Path(keep) / "board_notebook.png")
        print("latencies, ms:", sorted(round(x) for x in panel.latencies))
