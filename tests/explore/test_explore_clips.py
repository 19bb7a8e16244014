"""The clip inspector as a panel: every control moved, sentence and picture against slow sums."""

import io
import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from clip_folds import (
    CLASSES,
    NAMES,
    ORDER,
    clips_of,
    encode,
    files,
    fold_of,
    slow_exit,
    slow_scores,
    slow_share,
)
from PIL import Image

from redistill.errors import RedistillError
from redistill.explore import clips as module
from redistill.explore.clip_scores import clip_scores
from redistill.explore.clips import clip_inspector, kind_label
from redistill.methods.wise import fit_prefixes
from redistill.record import FIGURE_MIME
from redistill.tables import gop as gop_table
from redistill.video import read_gops

FOLD = fold_of(2, 14, seed=3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return files(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def opened(paths):
    panel = clip_inspector([FOLD], [clips_of(FOLD, paths)], arm="pkd", classes=CLASSES)
    return panel, panel.values, panel.said


@pytest.fixture
def panel(opened):
    """The panel as it opens; building one for each test would take longer than the tests."""
    panel, values, said = opened
    panel.set(show="all clips")
    panel.set(clip=values["clip"])
    panel.set(**values)
    assert panel.said == said
    return panel


def pixels(panel):
    return np.asarray(Image.open(io.BytesIO(panel.canvas.widget.value)))


def part(panel, name):
    return next(each for each in panel.canvas._parts if type(each).__name__ == name)


@cache
def fitted():
    """Weights, fitted here, and the threshold."""
    logits = torch.cat([FOLD.logits["val"]["pkd"][m] for m in ORDER])
    threshold = FOLD.threshold(FOLD.ensembles("pkd", names=["wise"])["wise"])
    return fit_prefixes(logits, FOLD.labels["val"]).tolist(), threshold


def expected(paths, clip, exit, gop, frame):
    """The sentence, by slow sums and the GOP table."""
    weights, threshold = fitted()
    scores, label = slow_scores(FOLD, weights, clip), FOLD.labels["test"][clip].item()
    left = slow_exit(scores, threshold)
    now, end = (max(range(3), key=scores[k].__getitem__) for k in (exit - 1, left))
    gops = list(read_gops(paths[clip % 3]))
    line = gop_table(gops[gop - 1]).iloc[frame - 1]
    return {
        "Test clip ": f"{clip + 1} of 14, f2/clip{clip}, class {CLASSES[label]}: ",
        ": frame ": f"{frame} of {len(gops[gop - 1])} in GOP {gop} of {len(gops)}; ",
        "motion ": f"{line.motion:.2f} pixels on average since the I-frame, ",
        "residual ": f"{line.residual:.2f} grey levels; ",
        "reconstruction ": "0. ",
        "After exit ": f"{exit} ({NAMES[exit - 1]}) WISE says {CLASSES[now]} with ",
        " with ": f"{100 * slow_share(scores[exit - 1])[now]:.1f} %; ",
        "its 1 weighted score is " if exit == 1 else f"{exit} weighted scores add up to ": (
            f"{scores[exit - 1][now]:.3f}"
        ),
        "threshold ": f"{threshold:.4g} it leaves at exit {left + 1} ({NAMES[left]}) as ",
        " as ": f"{CLASSES[end]}, {'rightly' if end == label else 'wrongly'}.",
    }


def holds(said, parts):
    for before, after in parts.items():
        assert f"{before}{after}".strip() in said


def test_it_opens_on_a_clip_that_leaves_wrongly_and_would_end_rightly(panel, paths):
    values = panel.values
    assert panel.name == "clip"
    assert set(values) == {"show", "clip", "exit", "gop", "frame"}
    assert "wrongly." in panel.said
    holds(panel.said, expected(paths, **{k: values[k] for k in ("clip", "exit", "gop", "frame")}))
    labels = {place: label for label, place in panel.controls["clip"].options}
    assert "WRONG" in labels[values["clip"]]
    assert len(labels) == 14


def test_every_control_moves_sentence_and_picture(panel, paths):
    for change in (
        {"clip": 0}, {"exit": 12}, {"gop": 2}, {"frame": 7}, {"frame": 1}, {"exit": 1}, {"clip": 3},
        {"gop": 3}, {"clip": 1}, {"frame": 4}, {"show": "wrong where they leave"},
    ):  # fmt: skip
        said, before = panel.said, pixels(panel)
        for name, value in change.items():
            assert panel.values[name] != value
            panel.controls[name].value = value
        assert (said != panel.said, (pixels(panel) != before).any()) == (True, True), change
        now = panel.values
        holds(panel.said, expected(paths, now["clip"], now["exit"], now["gop"], now["frame"]))


def test_parts_drawn_one_by_one_are_the_whole_picture(panel, paths):
    moves = [("exit", 9), ("frame", 3), ("clip", 2), ("exit", 2), ("clip", 4), ("gop", 2)]
    for name, value in moves:
        panel.controls[name].value = value
    fresh = clip_inspector([FOLD], [clips_of(FOLD, paths)], arm="pkd", classes=CLASSES)
    fresh.set(clip=4)
    fresh.set(exit=2, gop=2, frame=panel.values["frame"])
    assert fresh.said == panel.said
    assert (pixels(fresh) == pixels(panel)).all()
    moved = pixels(panel)
    panel.canvas.refresh()
    assert (pixels(panel) == moved).all()


def test_what_is_drawn_is_what_is_said(panel):
    panel.set(clip=5, exit=6)
    found = panel._react.__self__.found[5]
    bars, sums, path = (part(panel, name) for name in ("Shares", "Sums", "Path"))
    assert [bar.get_width() for bar in bars._bars] == pytest.approx(
        [100 * share for share in slow_share(found.scores[5].tolist())]
    )
    assert list(bars._alone.get_xdata()) == pytest.approx(
        [100 * share for share in slow_share(found.logits[5].tolist())]
    )
    assert bars._true.get_ydata() == [found.label]
    for row, label in enumerate((found.says[5], found.rival(6))):
        drawn = [bar.get_width() for bar in sums._bars[row] if bar.get_visible()]
        weights, logits = found.weights[5].tolist(), found.logits[:, label].tolist()
        assert drawn == pytest.approx([weights[j] * logits[j] for j in range(6)])
        assert list(sums._ends[row].get_xdata()) == pytest.approx([sum(drawn)] * 2)
        assert f"{CLASSES[label]}, sum {found.scores[5, label]:.3f}" in sums._texts[row].get_text()
    right = [n + 1 for n, label in enumerate(found.says) if label == found.label]
    assert list(path._right.get_xdata()) == right
    assert sorted([*path._right.get_xdata(), *path._wrong.get_xdata()]) == list(range(1, 13))
    assert path._left.get_xdata() == [found.left + 1]
    assert path._chosen.get_x() + 0.4 == pytest.approx(6)


def test_the_list_follows_what_is_to_be_shown(panel):
    box = panel.controls["clip"]
    for label, kind in panel.controls["show"].options:
        panel.set(show=kind)
        count = int(re.search(r"\((\d+)\)", label)[1])
        assert len(box.options) == count
        assert panel.values["clip"] in [place for _, place in box.options]
        if kind != "all clips":
            assert all(("WRONG" in name) == ("wrong" in kind) for name, _ in box.options)
    wrong = [place for name, place in box.options]
    panel.set(show="all clips")
    assert panel.values["clip"] in wrong  # the clip that was looked at stays


def test_a_clip_of_one_frame_has_nothing_to_slide(panel):
    panel.set(clip=0)
    gop, frame, play = panel.controls["gop"], panel.controls["frame"], panel._react.__self__.play
    assert (gop.max, gop.disabled, frame.max, frame.disabled) == (3, False, 12, False)
    panel.set(gop=3)
    assert (frame.value, frame.disabled, play.disabled) == (1, True, True)
    assert "frame 1 of 1 in GOP 3 of 3; motion 0.00" in panel.said
    panel.set(clip=2)
    assert (gop.value, gop.disabled, frame.disabled) == (1, True, True)
    assert frame.max > frame.min  # the browser's slider cannot be without length
    panel.set(clip=1, frame=5)
    assert (gop.disabled, frame.disabled, frame.max, play.max) == (True, False, 5, 5)
    panel.set(clip=0, frame=12)
    panel.set(clip=1)
    assert "frame 5 of 5" in panel.said


def test_clips_that_cannot_be_read_keep_their_scores(paths, tmp_path):
    broken = encode(tmp_path / "broken.avi", 25)
    raw = bytearray(broken.read_bytes())
    middle = slice(len(raw) // 3, len(raw) // 3 + 400)
    raw[middle] = bytes(400)
    broken.write_bytes(raw)
    clips = clips_of(FOLD, [tmp_path / "gone.avi", paths[0], broken])
    panel = clip_inspector([FOLD], [clips], arm="pkd", classes=CLASSES)
    panel.set(clip=0)
    assert "its pictures cannot be shown" in panel.said
    assert "gone.avi" in panel.said
    assert "WISE says" in panel.said
    assert not any(artist.get_visible() for artist in part(panel, "Pictures").moving)
    panel.set(clip=2, gop=1, frame=1)
    for frame in (*range(1, 13), 2):
        panel.set(frame=frame)
        assert ": frame " in panel.said or "its pictures cannot be shown" in panel.said
    panel.set(clip=1)
    assert "largest error of the reconstruction 0." in panel.said


def test_a_list_of_many_clips_is_cut(panel, monkeypatch):
    monkeypatch.setattr(module, "LISTED", 3)
    inspector, start = panel._react.__self__, panel.values["clip"]
    assert kind_label("all clips", 14) == "all clips (14, the first 3)"
    assert [place for _, place in inspector._options(start)] == [0, 1, 2, start]
    assert [place for _, place in inspector._options(1)] == [0, 1, 2]


def test_few_players_are_kept(panel, monkeypatch):
    monkeypatch.setattr(module, "PLAYERS", 2)
    inspector = panel._react.__self__
    for clip in (0, 1, 2):
        panel.set(clip=clip)
    assert len(inspector._players) == 2
    kept = inspector._player(2)
    panel.set(clip=1)
    assert inspector._player(2) is kept


def test_the_twin_is_a_figure_and_a_line_an_exit(panel, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REDISTILL_RUN_DIR", str(tmp_path))
    start = panel.values["clip"]
    panel.set(clip=0, exit=1)
    panel.show()
    assert "figure clip: One test clip" in capsys.readouterr().out
    assert (tmp_path / "figures" / "clip.png").stat().st_size < 14_000
    lines = (tmp_path / "figures" / "clip.csv").read_text().splitlines()
    assert len(lines) == 13
    found = panel._react.__self__.found[start]  # of how it opened, not of how it was left
    assert [line.split(",")[2] for line in lines[1:]] == [CLASSES[label] for label in found.says]


def test_in_an_open_notebook_the_panel_is_shown_with_its_twin(panel, monkeypatch):
    shown = []
    monkeypatch.setattr("redistill.explore.panel.is_watched", lambda: True)
    monkeypatch.setattr("redistill.explore.panel.display", lambda bundle, raw: shown.append(bundle))
    panel.show()
    (bundle,) = shown
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert json.loads(json.dumps(bundle[FIGURE_MIME]))["free"] is True


def test_one_clip_one_class_and_no_wrong_exit(paths):
    fold = fold_of(0, 1, seed=1)
    panel = clip_inspector([fold], [clips_of(fold, paths)], arm="pkd", classes=CLASSES)
    assert "Test clip 1 of 1" in panel.said


def test_many_classes_are_cut_to_the_likeliest(paths):
    rng = torch.Generator().manual_seed(1)
    fold = fold_of(0, 4, seed=1)
    for split, arms in fold.logits.items():
        count = len(fold.labels[split])
        arms["pkd"] = {m: torch.randn(4, count, 30, generator=rng) for m in ORDER}
    classes = [f"class number {n}" for n in range(30)]
    panel = clip_inspector([fold], [clips_of(fold, paths)], arm="pkd", classes=classes)
    before = [text.get_text() for text in part(panel, "Names").moving]
    panel.set(clip=(panel.values["clip"] + 1) % 4)
    names = [text.get_text() for text in part(panel, "Names").moving]
    assert len(names) == 12
    assert names != before
    found = panel._react.__self__.found[panel.values["clip"]]
    assert names[part(panel, "Shares")._true.get_ydata()[0]] == classes[found.label]


def test_real_clips_of_several_sizes(shared_data, panel, paths):
    real = [shared_data / "weizmann/walk/daria_walk.avi", shared_data / "clips/realshort.mp4"]
    inspector = panel._react.__self__
    clips = clips_of(FOLD, [*real, paths[0]])
    inspector.found = [replace(f, clip=c) for f, c in zip(inspector.found, clips, strict=True)]
    try:
        for clip, wide, told in [(0, 180, "of 12 in GOP 1 of 7"), (1, 320, "of 30 in GOP 1 of 2")]:
            panel.set(clip=clip)
            panel.set(frame=9)
            assert f"frame 9 {told}" in panel.said
            assert "largest error of the reconstruction 0." in panel.said
            axis = part(panel, "Pictures")._axes["frame"]
            low, high = axis.get_xlim()
            assert (low, high) == (-0.5, wide - 0.5)  # as wide as its axes, not stretched
            assert axis.get_ylim() == (wide - 0.5, -0.5)
    finally:
        inspector.found = clip_scores([FOLD], [clips_of(FOLD, paths)], arm="pkd", classes=CLASSES)


def test_wrong_input_is_refused_by_the_inspector(paths):
    with pytest.raises(RedistillError, match="no arm 'ce'; it has pkd"):
        clip_inspector([FOLD], [clips_of(FOLD, paths)], arm="ce", classes=CLASSES)
    with pytest.raises(RedistillError, match="14 test clips and 13"):
        clip_inspector([FOLD], [clips_of(FOLD, paths)[1:]], arm="pkd", classes=CLASSES)
