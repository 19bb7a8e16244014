"""The substage board of a trained fold: what it gathers, and the notebook's cell."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from told_board import tiny, told_study

from redistill.errors import RedistillError
from redistill.explore.substage import substage_board
from redistill.explore.substage_gather import board_of
from redistill.figures import style
from redistill.predict import predict


@pytest.fixture(autouse=True, scope="module")
def styled_study():
    with matplotlib.rc_context():
        matplotlib.use("agg")
        style()
        yield


@pytest.fixture
def quick_board(monkeypatch, tmp_path_factory):
    tiny.quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")


# Gathered from a trained cascade.


def test_the_board_holds_what_was_trained(quick_board):
    config, study, feeds, weak = told_study(arms=("staged_m0", "staged"), steps=4)
    reads = weak.truth.reads, feeds.split.test.reads
    board = board_of(config, study, feeds, weak, classes=tiny.CLASSES, device="cpu")
    assert (weak.truth.reads, feeds.split.test.reads) == reads
    assert list(board.chains) == ["staged_m0", "staged"]
    assert (board.clips, board.val_clips) == (
        9,
        6,
    )  # 12 clips in two batches, and 3 trusted besides
    for arm, chain in board.chains.items():
        found = study.cascades[arm]
        nets = {f"{k} {m}" if m else "teacher": x for (k, m), x in found.networks.items()}
        nets["deployed"] = found.single
        assert nets.keys() == chain.nodes.keys()
        for name, node in chain.nodes.items():
            assert node.losses == tuple(line["loss"] for line in nets[name].journal)
            right = predict(nets[name].net, feeds.val["rgb"]).argmax(1).tolist()
            hits = sum(a == b for a, b in zip(right, feeds.val_labels.tolist(), strict=True))
            assert node.accuracy == hits / 6
            assert node.width == nets[name].net.stage_widths[0]
            assert sum(term.share for term in node.terms) == pytest.approx(1)
        for turn, made in zip(chain.rounds, found.rounds, strict=True):
            assert counted(made.labels, study) == pytest.approx(
                (turn.quality.accuracy, turn.quality.coverage, turn.quality.clips)
            )
            assert turn.kept == made.kept
    assert [node.role for node in board.chains["staged"].along("feature").values()] == [
        "teacher", "assistant 1 of 1", "student", "deployed student",
    ]  # fmt: skip
    assert board.chains["staged"].nodes["fea 2"].teachers == "assistant 1 of 1"


def counted(labels, study):
    """Count clip by clip: the right class is on top, or shares the top with others."""
    right, chosen, clips = 0.0, 0, 0
    for place, truth in enumerate(study.truth.tolist()):
        if study.trusted[place]:
            continue
        q = labels.q[place].tolist()
        top = [k for k, value in enumerate(q) if value == max(q)]
        right += (truth in top) / len(top)
        chosen += bool(labels.selected[place])
        clips += 1
    return right / clips, chosen / clips, clips


def test_what_cannot_be_shown_is_refused_with_what_to_do(quick_board):
    config, study, feeds, weak = told_study(arms=("trusted",))
    about = {"classes": tiny.CLASSES, "device": "cpu"}
    with pytest.raises(RedistillError, match=r"fold 0 trained trusted; name one in `arms`"):
        substage_board(config, study, feeds, weak, **about)
    config, study, feeds, weak = told_study(arms=("takd",), n_assistants=0)
    fewer = replace(study, truth=study.truth[:-1])
    with pytest.raises(RedistillError, match="feeds of 12 training clips beside a study of 11"):
        substage_board(config, fewer, feeds, weak, **about)


def test_one_branch_without_assistants_all_labels_known(quick_board):
    config, study, feeds, weak = told_study(
        arms=("staged",), kinds=("rel",), n_assistants=0, label_frac=1.0, refresh="once"
    )
    panel = substage_board(config, study, feeds, weak, classes=tiny.CLASSES, device="cpu")
    assert panel.controls["branch"].options == ("relation",)
    assert panel.controls["network"].options == ("teacher", "student")
    assert "every one is trusted" in panel.said
    assert panel.said.startswith("Relation branch, student (width 2), taught by the teacher")
    panel.set(network="teacher")
    assert panel.said.startswith("Teacher (width 7), taught by labels alone")
    _, table = panel._twin()
    assert table["network"].tolist() == ["teacher", "rel 1"]


# The notebook.


def board_cell():
    twin = Path(__file__).parents[2] / "notebooks" / "text" / "1_substage_kd.py"
    (cell,) = [c for c in twin.read_text().split("# %%") if "import substage_board" in c]
    return cell


def test_without_a_staged_arm_the_notebook_says_so_and_goes_on(quick_board, capsys):
    config, study, feeds, weak = told_study(arms=("trusted",))
    names = {"config": config, "studies": [study], "feeds": feeds, "weak": weak}
    exec(board_cell(), names | {"classes": tiny.CLASSES, "device": "cpu"})
    assert capsys.readouterr().out == "No staged arm was trained, so there is no board.\n"


def test_the_cell_keeps_figure_and_table_under_a_run(quick_board, monkeypatch, tmp_path):
    monkeypatch.setenv("REDISTILL_RUN_DIR", str(tmp_path))
    config, study, feeds, weak = told_study(arms=("takd",))
    names = {"config": config, "studies": [study], "feeds": feeds, "weak": weak}
    exec(board_cell(), names | {"classes": tiny.CLASSES, "device": "cpu"})
    lines = (tmp_path / "figures" / "board.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["network", "teacher", "res 1", "res 2"]
    assert (tmp_path / "figures" / "board.png").stat().st_size < 12_000
