"""The exit explorer: every control moved, sentence and picture against a walk clip by clip."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from drawn_exits import MODALITIES, TIMES, drawn_fold, fitted, slow

from redistill.errors import RedistillError
from redistill.explore.exits import exit_explorer
from redistill.explore.exits_picture import CLIPS, PAGE, across, kinds, picture, stacked
from redistill.explore.exits_table import EQUAL, LEVELS, PLAIN, WISE, exits_table

FOLDS = [drawn_fold(1, clips=30, factor=100_000), drawn_fold(2, clips=13, factor=300_000)]
MOST = 1e5 * (30 * 284 + 13 * 852) / 43  # MACs of all exits, written out
NONE = 1e5 * (30 * 230 + 13 * 690) / 43  # and of the networks without ICs
SAID = re.compile(
    r"Thresholds? (.+); (exits weighed by WISE|each exit by itself, the last fused 2:1:1): (\d+) "
    r"of (\d+) test clips right \(([\d.]+) %\) at ([\d.]+) million MACs(?: and ([\d.]+) ms on this "
    r"machine)? a video \((\d+) % of all exits; (\d+) % of the three networks without early exits, "
    r"whose late fusion has ([\d.]+) % right\)\. (?:No clip leaves early|(\d+) leave early, (\d+) "
    r"of them with a wrong answer; the last exit would get (\d+) of these (\d+) right, and (\d+) "
    r"of the other (\d+) wrong)\. Thresholds moved on test clips are for looking, not a result\."
)


@pytest.fixture(scope="module")
def panel():
    return exit_explorer(FOLDS, milliseconds=TIMES)


@pytest.fixture
def explorer(panel):
    """The panel as it opens, and the picture that it moves."""
    panel.set(linked=False)
    panel.set(wise=True, residual=EQUAL, mv=EQUAL, iframe=EQUAL)
    panel.set(linked=True)
    return panel, panel._react.__self__.drawn


def expected(variant, levels):
    """The numbers of the sentence, by the slow walk."""
    lines = slow(FOLDS, fitted(FOLDS, variant), dict(zip(MODALITIES, levels, strict=True)))
    n, hits = len(lines), sum(line[1] for line in lines)
    macs, ms = (sum(line[k] for line in lines) / n for k in (3, 4))
    early = [line for line in lines if line[0] < 11]
    wrong = [line for line in early if not line[1]]
    late = fitted(FOLDS, "fusion_211")
    fused = [
        each.scores["test"][0, k].argmax() == label
        for fold, each in zip(FOLDS, late, strict=True)
        for k, label in enumerate(fold.labels["test"])
    ]
    told = [str(hits), str(n), f"{100 * hits / n:.1f}", f"{macs / 1e6:.2f}", f"{ms:.1f}"]
    told += [f"{100 * macs / MOST:.0f}", f"{100 * macs / NONE:.0f}", f"{100 * sum(fused) / n:.1f}"]
    if not early:
        return [*told, *[None] * 6]
    spoiled, others = sum(line[2] for line in wrong), len(early) - len(wrong)
    saved = sum(line[1] and not line[2] for line in early)
    changed = [len(early), len(wrong), spoiled, len(wrong), saved, others]
    return [*told, *map(str, changed)]


@pytest.mark.parametrize("wise", [True, False])
@pytest.mark.parametrize(
    "levels", [(EQUAL, EQUAL, EQUAL), (0.5, 0.95, EQUAL), (1.0, 1.0, 1.0), (0.0, 1.0, 0.9)]
)
def test_the_sentence_is_the_slow_walk(explorer, wise, levels):
    panel, _ = explorer
    panel.set(linked=False)
    panel.set(wise=wise, **dict(zip(MODALITIES, levels, strict=True)))
    found = SAID.fullmatch(panel.said).groups()
    names = ["equal cost (by fold)" if x == EQUAL else f"{x:.7g}" for x in levels]
    both = zip(("residual", "motion", "I-frame"), names, strict=True)
    assert found[0] == ", ".join(map(" ".join, both))
    assert found[1].startswith("exits weighed" if wise else "each exit")
    assert list(found[2:]) == expected(WISE if wise else PLAIN, levels)


@pytest.mark.parametrize("moved", MODALITIES)
def test_one_threshold_moves_all_three_and_letting_go_moves_one(explorer, moved):
    panel, _ = explorer
    panel.controls[moved].value = 0.7  # as a hand would
    assert [panel.values[name] for name in MODALITIES] == [0.7] * 3
    assert panel.said.startswith("Threshold 0.7 for all; ")
    panel.controls["linked"].value = False
    panel.controls[moved].value = 0.9
    others = [panel.values[name] for name in MODALITIES if name != moved]
    assert (panel.values[moved], others) == (0.9, [0.7, 0.7])
    panel.controls["linked"].value = True  # together again: all as the first network
    assert len({panel.values[name] for name in MODALITIES}) == 1


def test_equal_cost_stays_equal_cost_when_wise_is_switched():
    folds = [drawn_fold(6)]
    panel, table = exit_explorer(folds), exits_table(folds)
    assert table.levels(WISE) != table.levels(PLAIN)  # it stands at another place then
    for wise, variant in ((False, PLAIN), (True, WISE)):
        panel.controls["wise"].value = wise
        assert f"equal cost ({table.equal[variant][0]:.6g})" in panel.said
        for name in MODALITIES:
            assert panel.values[name] == EQUAL
            found = [level for _, level in panel.controls[name].options]
            assert found == list(table.levels(variant))
    panel.controls["mv"].value = 0.99
    panel.controls["wise"].value = False
    assert panel.values["mv"] == 0.99


def test_the_picture_follows(explorer):
    panel, drawn = explorer
    panel.set(linked=False)
    before = panel.canvas.widget.value
    panel.set(residual=0.6, mv=0.8, iframe=0.5)
    assert panel.canvas.widget.value != before
    lines = slow(FOLDS, fitted(FOLDS, WISE), dict(zip(MODALITIES, (0.6, 0.8, 0.5), strict=True)))
    n = len(lines)
    x, y = sum(line[3] for line in lines) / n / 1e6, 100 * sum(line[1] for line in lines) / n
    assert np.ravel(drawn.now[0].get_data()) == pytest.approx([x, y])
    assert drawn.now[1].get_xdata() == pytest.approx([x, x])
    assert drawn.now[2].get_ydata() == pytest.approx([y, y])
    assert drawn.said.get_text().startswith(f"now: {y:.1f} % at ")
    counts = [sum(line[0] == j for line in lines) for j in range(12)]
    assert [int(text.get_text()) for text in drawn.counts] == counts
    colour = drawn.now[0].get_color()
    panel.set(wise=False)
    assert drawn.now[0].get_color() != colour


def test_every_clip_stands_once_on_its_exit_under_its_mark(explorer):
    panel, drawn = explorer
    panel.set(residual=0.8)
    lines = slow(FOLDS, fitted(FOLDS, WISE), dict.fromkeys(MODALITIES, 0.8))
    wanted = dict.fromkeys(CLIPS, ())
    for j, right, last, *_ in lines:
        if right:
            name = "right" if last or j == 11 else "early and right, the last exit wrong"
        elif j == 11:
            name = "wrong at the last exit"
        else:
            name = "early and wrong, the last exit " + ("right" if last else "too")
        wanted[name] = (*wanted[name], j)
    places = []
    for name, line in zip(CLIPS, drawn.stacks, strict=True):
        x, y = line.get_data()
        assert sorted(np.round(x).astype(int)) == sorted(wanted[name]), name
        places += list(zip(np.round(x, 6), np.round(y, 6), strict=True))
    assert len(set(places)) == len(lines)  # none covers another
    assert sum(map(bool, wanted.values())) >= 4  # the test has all kinds but one at least


def test_stacks_grow_kind_upon_kind_from_the_floor():
    exit, kind = np.array([3, 3, 0, 3, 3, 3]), np.array([4, 0, 2, 0, 1, 3])
    columns, rows = stacked(exit, kind, 2)
    assert rows.tolist() == [2.5, 0.5, 0.5, 0.5, 1.5, 1.5]
    assert np.round(columns).tolist() == exit.tolist()
    assert (columns[1], columns[0]) == pytest.approx((3 - 0.21, 3 - 0.21))


def test_many_clips_are_turned_by_pages_and_counted_whole():
    panel = exit_explorer([drawn_fold(6, clips=2 * PAGE + 5, scale=1.0)])
    drawn = panel._react.__self__.drawn
    assert panel.controls["page"].max == 3
    seen = []
    for page in (1, 2, 3):
        panel.set(page=page)
        seen.append(sum(len(line.get_xdata()) for line in drawn.stacks))
        assert sum(int(text.get_text()) for text in drawn.counts) == 2 * PAGE + 5
    assert seen == [PAGE, PAGE, 5]
    which = f"clips {2 * PAGE + 1} to {2 * PAGE + 5} of {2 * PAGE + 5} where they leave;"
    assert drawn.page.get_text().startswith(which)
    assert f"of {2 * PAGE + 5} test clips" in panel.said


def test_no_stack_is_higher_than_the_axes_even_if_all_leave_at_once():
    for clips in (1, 84, 2 * PAGE):
        table = exits_table([drawn_fold(7, clips=clips)])
        drawn = picture(table)
        drawn.place(table.outcome(WISE, [0.0] * 3), WISE)
        highest = max(line.get_ydata().max(initial=0) for line in drawn.stacks)
        assert highest < 0.92 * drawn.stacks[0].axes.get_ylim()[1], clips
        assert across(clips) >= 1
        plt.close(drawn.figure)


def test_one_clip_and_a_world_without_wrong_exits():
    panel = exit_explorer([drawn_fold(3, clips=1)])
    assert " of 1 test clips right" in panel.said
    sure = drawn_fold(4, clips=5)
    logits = {}
    for split, truth in sure.labels.items():
        z = 9.0 * torch.nn.functional.one_hot(truth, 4).expand(4, -1, -1)
        logits[split] = {"pkd": dict.fromkeys(MODALITIES, z)}
    easy = exit_explorer([type(sure)(0, logits, sure.labels, sure.macs, sure.plain)])
    assert "5 of 5 test clips right (100.0 %)" in easy.said
    easy.set(residual=1.0)
    assert "No clip leaves early." in easy.said
    assert set(kinds(exits_table([sure]).outcome(WISE, [0.5] * 3))) <= set(range(5))


def test_the_static_figure_is_the_opening_state_or_one_that_is_given():
    panel = exit_explorer(FOLDS, atol=0.01, name="exits")
    figure, table = panel._twin()
    assert len(table) == 2 * (len(LEVELS) + 1)
    assert table.columns.tolist()[:4] == ["variant", "threshold", "accuracy", "macs"]
    (now,) = [axis for axis in figure.axes if axis.get_title().startswith("now")]
    hits = SAID.fullmatch(panel.said)[5]
    assert now.get_title().startswith(f"now: {hits} % at")
    plt.close(figure)
    own = pd.DataFrame({"x": [1]})
    given = exit_explorer(FOLDS, name="tradeoff", twin=lambda: (None, own))
    assert (given.name, given._twin()[1]) == ("tradeoff", own)


def test_an_arm_that_is_not_there_is_named():
    with pytest.raises(RedistillError, match="exit explorer: no arm 'kd'; there are exits of pkd"):
        exit_explorer(FOLDS, arm="kd")
