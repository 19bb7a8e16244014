"""Figures of exits: what is drawn is what the table says."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from redistill import exit_figures as figures
from redistill.methods.wise import exits

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def tradeoffs(names, points=5):
    rows = [
        (n, 1e6 * (i + 2 * k), 0.1 * i + 0.05 * k)
        for i, n in enumerate(names)
        for k in range(points)
    ]
    return pd.DataFrame(rows, columns=["variant", "macs", "accuracy"])


def test_each_variant_is_a_line_over_rising_cost():
    table = tradeoffs(["wise", "plain"])
    lines = figures.tradeoff(table.iloc[::-1]).axes[0].lines
    assert [line.get_label() for line in lines] == ["plain", "wise"]
    for line in lines:
        rows = table[table["variant"] == line.get_label()]
        np.testing.assert_allclose(line.get_xdata(), rows["macs"] / 1e6)
        np.testing.assert_allclose(line.get_ydata(orig=False), 100 * rows["accuracy"])


def test_twelve_variants_are_told_apart_without_colour():
    lines = figures.tradeoff(tradeoffs([f"v{i}" for i in range(12)])).axes[0].lines
    assert len({line.get_marker() for line in lines}) == 12
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12


def test_operating_points_are_ringed_and_named():
    points = pd.DataFrame(
        [("wise", 3e6, 0.42, "budget")], columns=["variant", "macs", "accuracy", "label"]
    )
    axis = figures.tradeoff(tradeoffs(["wise"]), points).axes[0]
    assert axis.lines[-1].get_xydata().tolist() == [[3.0, 42.0]]
    assert [t.get_text() for t in axis.texts] == ["budget"]


def test_markers_spread_over_the_cost_and_one_point_has_one():
    table = tradeoffs(["many"], points=300)
    every = figures.tradeoff(table).axes[0].lines[0].get_markevery()
    assert len(every) == 8
    assert {0, 299} <= set(every)
    assert figures.tradeoff(tradeoffs(["one"], points=1)).axes[0].lines[0].get_markevery() == [0]


def test_weights_stand_in_the_row_of_their_prefix():
    names = exits("coded")
    rows = [(k, *names[j], (j - k) / 7) for k in range(1, 13) for j in range(k)]
    table = pd.DataFrame(rows, columns=["after", "modality", "exit", "weight"])
    axis = figures.weights_map(table.sample(frac=1, random_state=0).sort_values("after")).axes[0]
    table = table.set_index(["after", "modality", "exit"])["weight"]
    drawn = np.ma.filled(axis.collections[0].get_array().reshape(12, 12), np.nan)
    labels = [t.get_text() for t in axis.get_xticklabels()]
    assert labels[0] == "R1"
    modality = {"R": "residual", "M": "mv", "I": "iframe"}
    for k in range(1, 13):
        for column, label in enumerate(labels):
            wanted = table.get((k, modality[label[0]], int(label[1])), np.nan)
            np.testing.assert_allclose(drawn[k - 1, column], wanted)


def test_columns_of_weights_stand_in_the_order_of_the_exits():
    names = exits("text")
    rows = [(k, *names[j], 0.5) for k in range(1, 13) for j in range(k)]
    axis = figures.weights_map(
        pd.DataFrame(rows, columns=["after", "modality", "exit", "weight"])
    ).axes[0]
    labels = [t.get_text() for t in axis.get_xticklabels()]
    assert labels == ["M1", "M2", "M3", "M4", "R1", "R2", "R3", "R4", "I1", "I2", "I3", "I4"]
    assert {t.get_text() for t in axis.texts} == {".50"}


def test_weights_are_written_short():
    written = [figures._brief(w) for w in (0.5, -0.25, 1.5, -1.5, 0.001, -0.001, 0.999)]
    assert written == [".50", "-.25", "1.50", "-1.50", "0", "0", "1.00"]


def test_gains_are_drawn_over_the_correlation():
    table = pd.DataFrame(
        {"correlation": [0.9, 0.1], "over_unit": [1.0, 5.0], "over_best": [0.0, 4.0]}
    )
    best, unit, zero = figures.gain_over_correlation(table).axes[0].lines
    assert best.get_xydata().tolist() == [[0.1, 4.0], [0.9, 0.0]]
    assert unit.get_xydata().tolist() == [[0.1, 5.0], [0.9, 1.0]]
    assert list(zero.get_ydata()) == [0, 0]
    assert best.get_marker() != unit.get_marker()


def test_runs_are_lines_of_their_own_with_one_legend():
    one = pd.DataFrame({"correlation": [0.1, 0.9], "over_unit": [5.0, 1.0], "over_best": [4.0, 0]})
    axis = figures.gain_over_correlation(pd.concat([one.assign(run=r) for r in (0, 1)])).axes[0]
    assert len(axis.lines) == 5
    assert len(axis.get_legend().get_texts()) == 2


ARMS = ["ce", "kd_iframe", "pkd", *(f"arm{i}" for i in range(9))]


def arm_table(arms):
    rows = [
        (arm, m, e, (v := 0.1 * e + 0.01 * i + 0.05 * k), v - 0.04, v + 0.03)
        for i, arm in enumerate(arms)
        for k, m in enumerate(("iframe", "mv"))
        for e in (1, 2, 3, 4)
    ]
    return pd.DataFrame(rows, columns=["arm", "modality", "exit", "accuracy", "low", "high"])


def test_each_panel_has_a_line_for_each_arm_with_its_interval():
    table = arm_table(ARMS)
    figure = figures.exit_accuracies(table)
    assert [axis.get_title() for axis in figure.axes] == ["I-frame", "motion"]
    for axis, modality in zip(figure.axes, ("iframe", "mv"), strict=True):
        drawn = {c.get_label(): c for c in axis.containers}
        assert list(drawn) == ARMS
        for arm, container in drawn.items():
            rows = table[(table["modality"] == modality) & (table["arm"] == arm)]
            line, _, bars = container
            np.testing.assert_allclose(line.get_ydata(orig=False), 100 * rows["accuracy"])
            assert np.abs(line.get_xdata(orig=False) - rows["exit"]).max() < 0.4
            assert bool(bars) == (arm in figures.SHOWN)
            if bars:
                ends = np.array([s[:, 1] for s in bars[0].get_segments()])
                np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])


def test_twelve_arms_differ_in_marker_and_three_in_colour():
    axis = figures.exit_accuracies(arm_table(ARMS)).axes[0]
    lines = {c.get_label(): c[0] for c in axis.containers}
    assert len({line.get_marker() for line in lines.values()}) == 12
    colours = {arm: to_hex(line.get_color()) for arm, line in lines.items()}
    assert len({colours[arm] for arm in figures.SHOWN}) == 3
    assert {colours[arm] for arm in ARMS[3:]} == {to_hex("0.65")}


def test_other_arms_can_be_shown_each_in_its_own_colour():
    shown = ("pkd", "arm0", "arm1", "arm2")
    axis = figures.exit_accuracies(arm_table(ARMS), shown=shown).axes[0]
    lines = {c.get_label(): c[0] for c in axis.containers}
    assert len({to_hex(lines[arm].get_color()) for arm in shown}) == 4
    assert to_hex(lines["ce"].get_color()) == to_hex("0.65")
