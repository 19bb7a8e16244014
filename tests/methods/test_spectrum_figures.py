"""Figures of notebook 2: what is drawn is what the table says, and nothing is cut off."""

from itertools import combinations, product

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from redistill import spectrum_figures as figures
from redistill.figures import style
from redistill.methods.spectrum_arms import ARMS, DECIDING, QUICK
from redistill.spectrum_tables import signal_table

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    with matplotlib.rc_context():
        style()
        yield
    plt.close("all")


def ticks(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def uncut(figure):
    """Draw, and check that every axis lies inside the figure and under no legend, nor another."""
    figure.canvas.draw()
    page = figure.bbox.padded(0.5)
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    for box in boxes:
        assert box.x0 >= page.x0
        assert box.y0 >= page.y0
        assert box.x1 <= page.x1
        assert box.y1 <= page.y1
        assert not any(legend.get_window_extent().overlaps(box) for legend in figure.legends)
    assert not any(a.overlaps(b) for a, b in combinations([b.padded(-1) for b in boxes], 2))


def apart(labels):
    """Check that no text lies over another."""
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_families_are_told_apart_by_colour_and_by_marker():
    wanted = {
        "teacher": "teacher", "alone_long": "labels alone", "kd": "image-level", "mse": "features",
        "pdd_sham": "parameters", "fixed": "both", "collab": "both", "map": "both",
    }  # fmt: skip
    assert {arm: figures.family(arm) for arm in wanted} == wanted
    assert {figures.family(arm) for arm in ("teacher", *ARMS)} == set(figures.LOOKS)
    for looks in zip(*figures.LOOKS.values(), strict=True):
        assert len(set(looks)) == len(figures.LOOKS)


def method_rows(arms):
    rows = []
    for split, more in (("val", 0.02), ("test", 0.0)):
        for number, arm in enumerate(arms, start=1):
            middle = 0.11 * (number % 7) + more
            ends = middle, middle - 0.05, middle + 0.06, 50, 7 * number, 10, 1.5 * number
            rows.append((arm, split, *ends))
    names = "arm", "split", "accuracy", "low", "high", "n", "training", "inference", "relative"
    return pd.DataFrame(rows, columns=list(names))


@pytest.mark.parametrize("arms", [QUICK, DECIDING, ARMS])
def test_methods_stand_by_accuracy_under_their_families(arms):
    table = method_rows(["teacher", *arms])
    figure = figures.methods(table, chance=0.125)
    test = table[table["split"] == "test"].set_index("arm")
    test = test.sort_values("accuracy", ascending=False, kind="stable")
    left = figure.axes[0]
    assert ticks(left) == test.index.tolist()
    points = [line for line in left.lines if len(line.get_xdata()) == 1]
    for line, row in zip(points, test.itertuples(), strict=True):
        colour, marker = figures.LOOKS[figures.family(row.Index)]
        assert line.get_xdata()[0] == pytest.approx(100 * row.accuracy)
        assert (to_hex(line.get_color()), line.get_marker()) == (to_hex(colour), marker)
    assert sorted(legend(figure)) == sorted({figures.family(arm) for arm in test.index})
    uncut(figure)
    apart(left.get_yticklabels())


def test_signals_stand_beside_their_spectra():
    frames = np.arange(8)
    values = {"clip": frames % 3 + 2.0, "three cycles": np.cos(2 * np.pi * 3 * frames / 8)}
    table = signal_table(values)
    figure = figures.signal(table)
    left, right = figure.axes
    assert legend(figure) == list(values)
    assert len({line.get_marker() for line in left.lines}) == 2
    for number, (name, signal) in enumerate(values.items()):
        np.testing.assert_allclose(left.lines[number].get_xydata(), np.stack([frames, signal], 1))
        bars = right.containers[number]
        wanted = table[(table["what"] == name) & (table["kind"] == "amplitude")]
        assert [bar.get_height() for bar in bars] == pytest.approx(wanted["y"].tolist())
        middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]
        assert [round(x) for x in middles] == wanted["x"].tolist()
    spans = [(b.get_x(), b.get_x() + b.get_width()) for c in right.containers for b in c]
    ends = np.array(sorted(spans))
    assert (ends[1:, 0] >= ends[:-1, 1] - 1e-9).all()  # no bar before another
    uncut(figure)


def test_one_signal_needs_no_other():
    figure = figures.signal(signal_table({"clip": np.arange(7.0)}))
    assert [bar.get_x() + bar.get_width() / 2 for bar in figure.axes[1].patches] == [0, 1, 2, 3]


def test_blindness_is_told_in_bars_and_numbers_and_rounding_is_nothing():
    changes = ["the same", "reversed", "another clip's"]
    table = pd.DataFrame(
        {"change": changes, "amplitude": [0.0, 3e-15, 0.25], "complex": [0.0, 1.5, 2e-5]}
    )
    figure = figures.blindness(table)
    (axis,) = figure.axes
    assert ticks(axis) == changes
    assert [b.get_width() for b in axis.containers[0]] == [0, 0, 0.25]
    assert [b.get_width() for b in axis.containers[1]] == [0, 1.5, 2e-5]
    assert [t.get_text() for t in axis.texts] == ["0", "0", "0.25", "0", "1.5", "2e-05"]
    assert axis.containers[0][0].get_hatch() != axis.containers[1][0].get_hatch()
    assert axis.yaxis_inverted()
    uncut(figure)
    apart(axis.texts)


def factor_rows(arms, subsets):
    rows = []
    for (place, arm), (number, subset) in product(enumerate(arms), enumerate(subsets)):
        points = subset == "texture_over_motion"
        value = (100 if points else 1) * (0.2 + 0.02 * place + 0.05 * number)
        ends = value * 0.8, value * 1.3, 40, "points" if points else "fraction"
        rows.append((arm, subset, value, *ends))
    return pd.DataFrame(rows, columns=["arm", "subset", "value", "low", "high", "n", "unit"])


@pytest.mark.parametrize(
    ("arms", "subsets"),
    [
        (("teacher", *QUICK), ("oscillating", "direction", "motion")),
        (("teacher", *DECIDING), tuple(figures.PANELS)),
    ],
)
def test_factors_have_a_panel_each_and_arms_a_row(arms, subsets):
    table = factor_rows(arms, subsets)
    figure = figures.factors(table)
    assert len(figure.axes) == len(subsets)
    assert ticks(figure.axes[0]) == list(arms)
    for axis, subset in zip(figure.axes, subsets, strict=True):
        rows = table[table["subset"] == subset]
        times = 1 if subset == "texture_over_motion" else 100
        assert axis.get_title() == figures.PANELS[subset]
        assert axis.get_xlabel() == ("points" if times == 1 else "%")
        spans = [line for line in axis.lines if len(line.get_xdata()) == 2][: len(arms)]
        points = [line for line in axis.lines if len(line.get_xdata()) == 1]
        drawn = [line.get_xydata()[0].tolist() for line in points]
        wanted = [[times * value, place] for place, value in enumerate(rows["value"])]
        np.testing.assert_allclose(drawn, wanted)
        np.testing.assert_allclose(
            [line.get_xdata() for line in spans], times * rows[["low", "high"]]
        )
        zero = [line for line in axis.lines if line.get_linestyle() == ":"]
        assert len(zero) == (times == 1)
    uncut(figure)
    apart(figure.axes[0].get_yticklabels())


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_bins_are_told_in_numbers_and_what_has_no_error_is_left_open():
    rows = [("teacher", 0, 0.996, None), ("teacher", 1, 0.004, None),
            ("fsd", 0, 0.75, 0.0125), ("fsd", 1, 0.25, 0.004)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "bin", "share", "error"]).astype({"error": float})
    figure = figures.bins(table)
    left, right = figure.axes
    assert ticks(left) == ["teacher", "fsd"]
    assert texts(left) == ["99.6", "0.4", "75", "25"]
    assert texts(right) == ["12.5", "4"]
    assert [text.get_position()[1] for text in right.texts] == [1.5, 1.5]  # the second row
    uncut(figure)


@pytest.mark.parametrize("arms", [QUICK, ARMS])
def test_bins_need_no_errors_and_fit_on_the_page(arms):
    names = ["teacher", "untrained", *arms]
    rows = [(arm, k, 0.96 if k == 0 else 0.01, np.nan) for arm in names for k in range(5)]
    figure = figures.bins(pd.DataFrame(rows, columns=["arm", "bin", "share", "error"]))
    uncut(figure)
    apart(figure.axes[0].get_yticklabels())
    assert len(figure.axes) == 1


def test_kernels_stand_in_squares_by_network_and_stage():
    drawn = np.random.default_rng(0).dirichlet(np.ones(9), size=(2, 3)).reshape(2, 3, 3, 3)
    rows = [(("teacher", "pdd")[a], s + 1, u, v, x) for (a, s, u, v), x in np.ndenumerate(drawn)]
    figure = figures.kernels(pd.DataFrame(rows, columns=["arm", "stage", "u", "v", "share"]))
    assert len(figure.axes) == 6
    for axis, square in zip(figure.axes, drawn.reshape(6, 9), strict=True):
        assert texts(axis) == [f"{100 * x:.1f}" for x in square]
        values = axis.collections[0].get_array().ravel()
        np.testing.assert_allclose(values, 100 * square)
    assert [axis.get_title() for axis in figure.axes[:3]] == ["stage 1", "stage 2", "stage 3"]
    assert [figure.axes[place].get_ylabel() for place in (0, 3)] == ["teacher", "pdd"]
    limits = {axis.collections[0].get_clim() for axis in figure.axes}
    assert len(limits) == 1  # one brightness for all
    uncut(figure)


def noise_rows():
    rows = [
        (arm, epoch, term, 0.5 * step * epoch)
        for step, arm in enumerate(("collab", "map"), start=1)
        for term in ("features", "parameters")
        for epoch in (1, 2, 3)
        if (arm, term) != ("map", "parameters")
    ]
    return pd.DataFrame(rows, columns=["arm", "epoch", "term", "log_variance"])


def test_noise_levels_run_between_the_clamps():
    table = noise_rows()
    figure = figures.noise(table, clamp=4.0)
    features, parameters = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["features", "parameters"]
    for axis, term, arms in ((features, "features", ["collab", "map"]),
                             (parameters, "parameters", ["collab"])):  # fmt: skip
        lines = {x.get_label(): x for x in axis.lines if x.get_linestyle() == "-"}
        assert list(lines) == arms
        for arm, line in lines.items():
            rows = table[(table["arm"] == arm) & (table["term"] == term)]
            np.testing.assert_allclose(line.get_xydata(), rows[["epoch", "log_variance"]])
        bounds = [x.get_ydata()[0] for x in axis.lines if x.get_linestyle() == "--"]
        assert bounds == [-4, 4]
        assert axis.get_ylim()[0] < -4 < 4 < axis.get_ylim()[1]
    assert features.lines[0].get_marker() != features.lines[1].get_marker()
    assert legend(figure) == ["collab", "map"]
    uncut(figure)


def test_parts_of_a_loss_stand_over_their_bins():
    names = ["all", "ac", "complex"]
    rows = [(what, k, (n + 1) / (k + 1)) for n, what in enumerate(names) for k in range(5)]
    figure = figures.loss_by_bin(pd.DataFrame(rows, columns=["what", "bin", "loss"]))
    (axis,) = figure.axes
    assert legend(figure) == names
    assert len({bars[0].get_hatch() for bars in axis.containers}) == 3
    for number, bars in enumerate(axis.containers):
        assert [b.get_height() for b in bars] == [(number + 1) / (k + 1) for k in range(5)]
        assert [round(b.get_x() + b.get_width() / 2) for b in bars] == list(range(5))
    uncut(figure)
