"""Figures of notebook 1: what is drawn is what the table says, and nothing is cut off."""

from dataclasses import replace
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from redistill import substage_figures as figures
from redistill.figures import style
from redistill.methods.substage import SubstageConfig
from redistill.substage_tables import cascade_table

matplotlib.use("Agg")
READINGS = [
    {}, {"n_assistants": 0}, {"n_assistants": 3}, {"cascade": "dense", "n_assistants": 2},
    {"cascade": "sequential"}, {"branch_sharing": "assistants"}, {"corr_reading": "mismatch"},
    {"deploy_from": "branches"}, {"kinds": ("fea",)},
]  # fmt: skip


@pytest.fixture(autouse=True)
def closed():
    with matplotlib.rc_context():
        style()
        yield
    plt.close("all")


def ticks(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def uncut(figure):
    """Draw, and check that every axis lies inside the figure and under no legend."""
    figure.canvas.draw()
    page = figure.bbox.padded(0.5)
    for axis in figure.axes:
        box = axis.get_tightbbox()
        assert box.x0 >= page.x0
        assert box.y0 >= page.y0
        assert box.x1 <= page.x1
        assert box.y1 <= page.y1
        assert not any(legend.get_window_extent().overlaps(box) for legend in figure.legends)


def apart(labels):
    """Check that no text lies over another."""
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("changes", READINGS)
def test_a_box_is_a_network_and_an_arrow_a_lesson(changes):
    table = cascade_table(replace(SubstageConfig(), **changes))
    (axis,) = figures.cascade(table).axes
    boxes = [p for p in axis.patches if isinstance(p, FancyBboxPatch)]
    arrows = [p for p in axis.patches if isinstance(p, FancyArrowPatch)]
    networks = table[table["role"] != "combination"]
    assert len(boxes) == len(networks)
    for box, row in zip(boxes, networks.itertuples(), strict=True):
        assert box.get_x() + box.get_width() / 2 == pytest.approx(row.level)
        assert to_hex(box.get_edgecolor()) == to_hex(figures.BRANCH[row.branch])
    lessons = sum(len(text.split(", ")) for text in table["taught_by"] if text)
    others = (table[["partner", "start"]] != "").to_numpy().sum()
    assert len(arrows) == lessons + others
    said = [text.get_text() for text in axis.texts]
    for row in networks.itertuples():
        assert f"{row.role}\nwidth {row.width}" in said
    assert ("+" in said) == ("combination" in set(table["role"]))


@pytest.mark.parametrize("changes", READINGS)
def test_networks_do_not_overlap_and_hold_their_texts(changes):
    figure = figures.cascade(cascade_table(replace(SubstageConfig(), **changes)))
    figure.canvas.draw()
    (axis,) = figure.axes
    boxes = [p.get_window_extent() for p in axis.patches if isinstance(p, FancyBboxPatch)]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    apart(axis.texts)
    inside = [t.get_window_extent() for t in axis.texts if "width" in t.get_text()]
    for box, text in zip(boxes, inside, strict=True):
        assert box.x0 <= text.x0
        assert text.x1 <= box.x1


def test_the_chains_of_branches_run_to_the_right():
    axis = figures.cascade(cascade_table(SubstageConfig())).axes[0]
    for arrow in (p for p in axis.patches if isinstance(p, FancyArrowPatch)):
        (x0, _), (x1, _) = arrow._posA_posB
        assert x1 > x0


def method_rows(arms, *, relative=True):
    rows = []
    for split, more in (("val", 0.02), ("test", 0.0)):
        for number, arm in enumerate(arms, start=1):
            middle = 0.1 * (number % 7) + more
            cost = 1.5 * number if relative else float("nan")
            used = 30 if arm.endswith("_ens") else 49 if arm == "teacher" else 10
            ends = middle, middle - 0.05, middle + 0.06, 50, 7 * number, used, cost
            rows.append((arm, split, *ends))
    names = "arm", "split", "accuracy", "low", "high", "n", "training", "inference", "relative"
    return pd.DataFrame(rows, columns=list(names))


NAMES = ["teacher", "trusted", "kd", "kd3_ens", "staged_single", "staged_ens"]


def test_methods_are_sorted_by_test_accuracy():
    table = method_rows(NAMES)
    left, right = figures.methods(table, chance=0.125).axes
    assert ticks(left) == NAMES[::-1]
    by_arm = {split: rows.set_index("arm") for split, rows in table.groupby("split")}
    spans = [
        line for line in left.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2
    ]
    points = [line for line in left.lines if len(line.get_xdata()) == 1]
    for row, arm in enumerate(NAMES[::-1]):
        entry = by_arm["test"].loc[arm]
        np.testing.assert_allclose(spans[row].get_xdata(), [100 * entry.low, 100 * entry.high])
        assert spans[row].get_ydata().tolist() == [row, row]
        assert points[row].get_xydata().tolist() == [[pytest.approx(100 * entry.accuracy), row]]
    (val,) = [line for line in left.lines if line.get_marker() == "|"]
    np.testing.assert_allclose(val.get_xdata(), 100 * by_arm["val"].loc[NAMES[::-1], "accuracy"])
    widths = [bar.get_width() for bar in right.patches]
    assert widths == pytest.approx(by_arm["test"].loc[NAMES[::-1], "relative"].tolist())
    chance = next(line for line in left.lines if line.get_linestyle() == ":")
    assert list(chance.get_xdata()) == [12.5, 12.5]


def test_ensembles_and_the_teacher_are_marked_and_their_cost_in_use_is_told():
    left, right = figures.methods(method_rows(NAMES), chance=0.1).axes
    marks = {line.get_ydata()[0]: line.get_marker() for line in left.lines
             if len(line.get_xdata()) == 1}  # fmt: skip
    assert [marks[row] for row in range(6)] == ["s", "o", "s", "o", "o", "D"]
    used = {t.get_position()[1]: t.get_text() for t in right.texts if t.get_text().endswith("x")}
    assert [used[row] for row in range(6)] == ["3x", "1x", "3x", "1x", "1x", "4.9x"]


def test_without_kd_the_cost_of_training_is_left_out():
    right = figures.methods(method_rows(["refined", "sp"], relative=False), chance=0.1).axes[1]
    assert [bar.get_width() for bar in right.patches] == [0, 0]
    assert not [t for t in right.texts if t.get_text() in ("0", "nan")]


@pytest.mark.parametrize("count", [2, 7, 40])
def test_methods_fit_on_the_page(count):
    figure = figures.methods(method_rows([f"staged_fd_class{i}" for i in range(count)]), chance=0.1)
    uncut(figure)
    apart(figure.axes[0].get_yticklabels())


def branch_rows(methods=("staged_m0", "staged")):
    groups = [
        "res",
        "fea",
        "rel",
        "res + fea",
        "res + rel",
        "fea + rel",
        "all, combined",
        "deployed",
    ]
    rows = [
        (method, name, split, (v := 0.3 + 0.05 * number + more), v - 0.03, v + 0.05, 9)
        for number, name in enumerate(groups)
        for method in methods
        for split, more in (("val", 0.2), ("test", 0.0 if method == "staged" else 0.1))
    ]
    names = ["method", "branches", "split", "accuracy", "low", "high", "n"]
    return pd.DataFrame(rows, columns=names)


def test_branches_stand_in_their_rows_with_a_marker_for_each_method():
    table = branch_rows()
    figure = figures.branches(table)
    (axis,) = figure.axes
    test = table[table["split"] == "test"]
    assert ticks(axis) == test["branches"].unique().tolist()
    lines = {line.get_label(): line for line in axis.lines}
    for method, label in (("staged", "with assistants"), ("staged_m0", "without")):
        rows = test[test["method"] == method]
        np.testing.assert_allclose(lines[label].get_xdata(), 100 * rows["accuracy"])
        np.testing.assert_allclose(lines[label].get_ydata(), np.arange(8), atol=0.2)
    assert lines["with assistants"].get_marker() != lines["without"].get_marker()
    spans = [s for c in axis.collections for s in c.get_segments()]
    wanted = 100 * np.concatenate([test[test["method"] == m][["low", "high"]].to_numpy()
                                   for m in ("staged", "staged_m0")])  # fmt: skip
    np.testing.assert_allclose([s[:, 0] for s in spans], wanted)
    uncut(figure)
    apart(axis.get_yticklabels())


def test_lines_part_single_branches_pairs_and_the_rest():
    axis = figures.branches(branch_rows()).axes[0]
    across = [line.get_ydata()[0] for line in axis.lines if line.get_linewidth() == 0.8]
    assert across == [2.5, 5.5]


def test_one_method_needs_no_other():
    figure = figures.branches(branch_rows(["staged"]))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["with assistants"]


def round_rows():
    return pd.DataFrame(
        {
            "labels": ["initial", "teacher", "level 1"],
            "accuracy": [0.1, 0.5, 0.6],
            "selected_accuracy": [float("nan"), 0.7, 0.8],
            "coverage": [0.0, 0.5, 0.65],
            "ece": [0.0, 0.3, 0.2],
            "log_likelihood": [-2.5, -1.5, -1.2],
        }
    )


def test_rounds_are_drawn_in_per_cent_and_nats():
    table = round_rows()
    figure = figures.label_rounds(table)
    accuracy, coverage, ece, likelihood = figure.axes
    both, selected = accuracy.lines
    for line, column, times in [
        (both, "accuracy", 100), (selected, "selected_accuracy", 100),
        (*coverage.lines, "coverage", 100), (*ece.lines, "ece", 100),
        (*likelihood.lines, "log_likelihood", 1),
    ]:  # fmt: skip
        np.testing.assert_allclose(line.get_ydata(), times * table[column])
    assert both.get_marker() != selected.get_marker()
    for axis in figure.axes:
        assert [t.get_text() for t in axis.get_xticklabels()] == table["labels"].tolist()
    uncut(figure)


def test_assistants_are_drawn_over_their_number():
    rows = [("combined", 0, 0.5), ("combined", 3, 0.6), ("deployed", 0, 0.3), ("deployed", 1, 0.4)]
    table = pd.DataFrame(rows, columns=["what", "assistants", "accuracy"])
    table = table.assign(low=table["accuracy"] - 0.1, high=table["accuracy"] + 0.2)
    figure = figures.assistants(table)
    (axis,) = figure.axes
    drawn = {c.get_label(): c for c in axis.containers}
    for what, rows in table.groupby("what"):
        line, _, (bars,) = drawn[what]
        np.testing.assert_allclose(line.get_ydata(orig=False), 100 * rows["accuracy"])
        np.testing.assert_allclose(line.get_xdata(orig=False), rows["assistants"], atol=0.1)
        ends = [segment[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])
    figure.canvas.draw()
    assert all(float(x) == int(x) for x in axis.get_xticks())
    uncut(figure)


def test_a_series_has_a_line_for_each_method_over_its_points():
    rows = [("narrow", "kd", 0.3), ("narrow", "staged", 0.2), ("wide", "staged", 0.4)]
    table = pd.DataFrame(rows, columns=["point", "arm", "accuracy"])
    figure = figures.series(table)
    (axis,) = figure.axes
    drawn = {line.get_label(): line for line in axis.lines}
    assert drawn["kd"].get_xydata().tolist() == [[0, 30]]
    assert drawn["staged"].get_xydata().tolist() == [[0, 20], [1, 40]]
    assert drawn["kd"].get_marker() != drawn["staged"].get_marker()
    assert [t.get_text() for t in axis.get_xticklabels()] == ["narrow", "wide"]
