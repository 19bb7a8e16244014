"""Figures of flatness: what is drawn is what the table says, and densities by closed forms."""

import math

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from redistill import flatness_figures as figures
from redistill.curvature.density import Density
from redistill.figures import LOOK, MARKERS, NAMES, style

matplotlib.use("Agg")
MODALITIES = ("iframe", "mv", "residual")
ARMS = ("ce", "kd_iframe", "pkd", "pkd_iframe", "summary")
MEASURES = ("trace", "top", "relative")


@pytest.fixture(autouse=True)
def closed():
    with matplotlib.rc_context():
        style()
        yield
    plt.close("all")


def spectrum(nodes, weights):
    nodes, weights = (torch.tensor(x, dtype=torch.float64) for x in (nodes, weights))
    nothing = torch.zeros(len(nodes), 3)
    return Density(
        nodes=nodes, weights=weights, moments=nothing, direct=nothing, overlaps=nothing[:, 0],
        products=1,
    )  # fmt: skip


def spectra():
    weights = [[0.01, 0.9, 0.08, 0.01], [0.02, 0.9, 0.03, 0.05]]
    return {
        modality: spectrum([[-s, 0.001, s, 90 * s], [-2 * s, 0.002, s, 100 * s]], weights)
        for modality, s in zip(MODALITIES, (0.1, 1.0, 0.4), strict=True)
    }


def drawn(axis, marker):
    """Points of an axis whose marker it is, (N, 2)."""
    lines = [line.get_xydata() for line in axis.lines if line.get_marker() == marker]
    return np.concatenate([np.asarray(line, float) for line in lines])


def bars(axis):
    """Ends of the vertical bars of an axis by place."""
    segments = [s for one in axis.collections for s in one.get_segments() if len(s)]
    return {round(s[0, 0], 6): (s[0, 1], s[1, 1]) for s in segments}


# -- the drawing ---------------------------------------------------------------------------------


def test_the_two_minima_are_parabolas_and_the_table_is_what_is_drawn():
    figure, table = figures.two_minima()
    for axis, curvature in zip(figure.axes, (1, 16), strict=True):
        for line, loss, shift in zip(axis.lines, ("training", "test"), (0, 0.3), strict=False):
            w, value = line.get_xdata(), line.get_ydata()
            np.testing.assert_allclose(value, curvature * (w - shift) ** 2 / 2, atol=1e-3)
            rows = table[(table["curvature"] == curvature) & (table["loss"] == loss)]
            np.testing.assert_array_equal(rows[["weight", "value"]], line.get_xydata())
        rise = axis.lines[2].get_ydata()[1]
        assert rise == pytest.approx(curvature * 0.3**2 / 2)
        assert f"{rise:.2g}" in axis.get_title()
    assert "no measurement" in figure.get_suptitle()


# -- eigenvalues ---------------------------------------------------------------------------------


def eigen_table():
    lines = [
        (m, rank, 10.0 * n / rank, 0.01 * n, 0.1)
        for n, m in enumerate(MODALITIES, 1)
        for rank in (1, 2, 3)
    ]
    return pd.DataFrame(lines, columns=["modality", "rank", "value", "error", "residual"])


def test_eigenvalues_stand_at_their_rank_with_their_error():
    table = eigen_table()
    axis = figures.eigenvalues(table).axes[0]
    for modality, rows in table.groupby("modality"):
        points = drawn(axis, MARKERS[modality])
        np.testing.assert_allclose(points[:, 0], rows["rank"], atol=0.2)
        np.testing.assert_array_equal(points[:, 1], rows["value"])
    ends = sorted(high - low for low, high in bars(axis).values())
    np.testing.assert_allclose(ends, sorted(2 * table["error"]))
    assert "0.3 %" in axis.get_title()  # 0.01 of 3.33


# -- densities -----------------------------------------------------------------------------------


def test_every_density_has_integral_one_and_its_mean_in_the_band():
    table = figures.density_table(spectra(), points=600)
    grids = []
    for _, rows in table.groupby("modality"):
        for column in ("density", "low", "high"):
            assert (rows[column] >= 0).all()
        assert np.trapezoid(rows["density"], rows["eigenvalue"]) == pytest.approx(1, abs=0.02)
        assert (rows["low"] <= rows["density"]).all()
        assert (rows["density"] <= rows["high"]).all()
        grids.append(rows["eigenvalue"].tolist())
    assert grids[0] == grids[1] == grids[2]
    assert (np.diff(grids[0]) > 0).all()


def test_mass_lies_where_the_nodes_are_however_far_apart():
    table = figures.density_table(spectra(), points=600)
    rows = table[table["modality"] == "mv"]
    x, y = rows["eigenvalue"].to_numpy(), rows["density"].to_numpy()
    for low, high, share in (
        (-10, -0.5, 0.015),
        (-0.2, 0.2, 0.9),
        (0.3, 10, 0.055),
        (30, 900, 0.03),
    ):
        inside = (x > low) & (x < high)
        assert np.trapezoid(y[inside], x[inside]) == pytest.approx(share, rel=0.05)


def test_one_node_is_a_gaussian_on_the_bent_axis():
    far, unit = 50.0, 0.05
    alone = {"iframe": spectrum([[0.0, far]], [[0.0, 1.0]])}
    table = figures.density_table(alone, points=200)
    reach = math.asinh(far / unit)
    width = 0.02 * reach
    u = np.arcsinh(table["eigenvalue"] / unit)
    normal = np.exp(-(((u - reach) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    wanted = normal / np.sqrt(table["eigenvalue"] ** 2 + unit**2)
    top = wanted.max()
    np.testing.assert_allclose(table["density"], wanted, rtol=0.1, atol=0.02 * top)


def test_the_band_is_least_and_most_of_the_probes():
    both = spectra()["mv"]
    one = [spectrum(both.nodes[[k]].tolist(), both.weights[[k]].tolist()) for k in (0, 1)]
    # a fourth spectrum that spans them all holds the grid
    wide = spectrum([[-5.0, 0, 1, 200]], [[0.25] * 4])
    banded = figures.density_table({"mv": both, "iframe": wide})
    alone = [figures.density_table({"mv": each, "iframe": wide}) for each in one]
    first, second = (t.loc[t["modality"] == "mv", "density"].to_numpy() for t in alone)
    rows = banded[banded["modality"] == "mv"]
    np.testing.assert_allclose(rows["low"], np.minimum(first, second), rtol=0.01)
    np.testing.assert_allclose(rows["high"], np.maximum(first, second), rtol=0.01)
    np.testing.assert_allclose(rows["density"], (first + second) / 2, rtol=0.02)


def test_densities_are_drawn_whole_on_one_axis():
    table = figures.density_table(spectra())
    axis = figures.densities(table).axes[0]
    for modality, rows in table.groupby("modality"):
        points = drawn(axis, MARKERS[modality])
        np.testing.assert_array_equal(points, rows[["eigenvalue", "density"]])
    low, high = axis.get_ylim()
    assert high > table["high"].max()
    for _, rows in table.groupby("modality"):  # the outlier of each is in the picture
        assert rows.loc[rows["eigenvalue"] > 5, "density"].max() > low
    assert (axis.get_xscale(), axis.get_yscale()) == ("symlog", "log")


def test_a_peak_of_two_equal_points_is_a_peak():
    table = pd.DataFrame({"modality": "iframe", "eigenvalue": [-2.0, -1, 1, 2]})
    table = table.assign(density=[0.0, 1, 1, 0], low=[0.0, 1, 1, 0], high=[0.0, 1, 1, 0])
    low, _ = figures.densities(table).axes[0].get_ylim()
    assert low == pytest.approx(0.1)


# -- sharpness of the networks -------------------------------------------------------------------


def ends_table():
    lines = []
    for network in ("same", "own"):
        for n, m in enumerate(MODALITIES, 1):
            line = {"modality": m, "network": network, "arm": "ce", "exit": 4}
            for k, measure in enumerate(MEASURES):
                middle = 10.0 ** (n + k) * (1 if network == "same" else 7)
                line |= {
                    measure: middle,
                    f"{measure}_low": middle / 2,
                    f"{measure}_high": 2 * middle,
                }
            lines.append(line)
    return pd.DataFrame(lines)


def long_table(values=None):
    """Networks of one depth: log10 of the ends above, and 0.5 more at equal loss."""
    lines = [
        (m, "same", "ce", 4, at, measure, n + k + more)
        for at, more in (("end", 0.0), ("equal", 0.5))
        for k, measure in enumerate(MEASURES)
        for n, m in enumerate(MODALITIES, 1)
    ]
    columns = ["modality", "network", "arm", "exit", "at", "measure", "value"]
    return pd.DataFrame(lines, columns=columns)


def test_intervals_stand_beside_the_values_of_their_own_network():
    table = figures.sharpness_table(long_table(), ends_table())
    end = table[table["at"] == "end"]
    np.testing.assert_allclose(end["low"], end["value"] - math.log10(2), rtol=1e-3)
    np.testing.assert_allclose(end["high"], end["value"] + math.log10(2), rtol=1e-3)
    assert table.loc[table["at"] == "equal", ["low", "high"]].isna().all(axis=None)


def test_an_interval_that_reaches_zero_has_no_low_end_and_a_whole_bar():
    ends = ends_table()
    ends.loc[(ends["modality"] == "residual") & (ends["network"] == "same"), "trace_low"] = -1.0
    table = figures.sharpness_table(long_table(), ends)
    row = table[(table["modality"] == "residual") & (table["measure"] == "trace")].iloc[0]
    assert math.isnan(row["low"])
    assert row["high"] == pytest.approx(math.log10(2000), rel=1e-3)
    lowest = table.loc[table["measure"] == "trace", ["value", "low"]].min(axis=None)
    assert bars(figures.sharpness(table).axes[0])[1] == (lowest, row["high"])


def test_sharpness_is_drawn_from_flat_to_sharp_and_says_whether_the_order_holds():
    table = figures.sharpness_table(long_table(), ends_table())
    swap = (table["at"] == "equal") & (table["measure"] == "trace")
    table.loc[swap, "value"] = [1.0, 3.0, 2.0]  # I-frame, motion, residual: as claimed
    figure = figures.sharpness(table)
    for axis, measure in zip(figure.axes, MEASURES, strict=True):
        assert [t.get_text() for t in axis.get_xticklabels()] == ["I-frame", "residual", "motion"]
        rows = table[table["measure"] == measure].set_index("modality")["value"]
        for place, modality in enumerate(("iframe", "residual", "mv")):
            points = drawn(axis, MARKERS[modality])
            np.testing.assert_array_equal(points[:, 0], place)
            assert sorted(points[:, 1]) == sorted(rows[modality])
    titles = [axis.get_title().split("\n") for axis in figure.axes]
    assert titles[0][1:] == ["order at the end: no", "order at equal loss: holds"]
    assert titles[1][1:] == ["order at the end: no", "order at equal loss: no"]


def test_ties_and_missing_values_are_no_order():
    table = figures.sharpness_table(long_table(), ends_table())
    table.loc[table["measure"] == "top", "value"] = 2.0
    table.loc[table["measure"] == "relative", "value"] = math.nan
    titles = [axis.get_title() for axis in figures.sharpness(table).axes]
    assert titles[1].count(": no") == 2
    assert "not known" not in titles[1]
    assert titles[2].count("not known") == 2


# -- stages --------------------------------------------------------------------------------------


def test_stages_stand_in_the_order_of_the_network_with_their_intervals():
    names = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    lines = [
        (m, s, 10.0 * n + k, 10.0 * n + k - 20, 10.0 * n + k + 20)
        for n, m in enumerate(MODALITIES)
        for k, s in enumerate(names if m == "iframe" else ["data_bn", *names])
    ]
    table = pd.DataFrame(lines, columns=["modality", "stage", "trace", "low", "high"])
    axis = figures.stages(table).axes[0]
    labels = [t.get_text().replace("\n", " ") for t in axis.get_xticklabels()]
    assert labels[:3] == ["input norm", "first layer", "its norm"]
    assert labels[3:] == ["stage 1", "stage 2", "stage 3", "stage 4", "last layer"]
    order = ["data_bn", *names]
    ends = bars(axis)
    for modality, rows in table.groupby("modality"):
        points = drawn(axis, MARKERS[modality])
        wanted = [order.index(stage) for stage in rows["stage"]]
        np.testing.assert_allclose(points[:, 0], wanted, atol=0.3)
        np.testing.assert_array_equal(points[:, 1], rows["trace"])
        for (x, _), row in zip(points, rows.itertuples(), strict=True):
            assert ends[round(x, 6)] == (row.low, row.high)
    low, high = axis.get_ylim()
    assert low < table["low"].min() < table["high"].max() < high


# -- classifiers ---------------------------------------------------------------------------------


def classifier_table(arms):
    rng = np.random.default_rng(0)
    lines = [
        (m, "ic", arm, e, at, measure, rng.uniform(1, 3), 0.1)
        for at in ("end", "equal")
        for measure in MEASURES
        for m in MODALITIES
        for arm in arms
        for e in (1, 2, 3)
    ]
    columns = ["modality", "network", "arm", "exit", "at", "measure", "value", "train_loss"]
    return pd.DataFrame(lines, columns=columns)


@pytest.mark.parametrize("arms", [ARMS[:3], ARMS])
def test_classifiers_are_drawn_at_their_place_arms_by_marker(arms):
    table = classifier_table(arms)
    table.loc[table["arm"] == "pkd", "value"] = math.nan
    figure = figures.classifiers(table)
    axis = figure.axes[0]
    labels = [t.get_text() for t in axis.get_xticklabels()]
    assert labels == ["I1", "I2", "I3", "R1", "R2", "R3", "M1", "M2", "M3"]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [*arms, "at the end", "at equal loss"]
    markers = [handle.get_marker() for handle in legend.legend_handles[: len(arms)]]
    assert len(set(markers)) == len(arms)
    assert not set(markers) & {look["marker"] for look in LOOK.values()} - {"D"}
    rows = (
        table[table["measure"] == "trace"]
        .set_index(["arm", "modality", "exit", "at"])["value"]
        .sort_index()
    )
    short = {"I": "iframe", "R": "residual", "M": "mv"}
    for arm, marker in zip(arms, markers, strict=True):
        points = drawn(axis, marker)
        assert len(points) == 18
        for x, value in points:
            label = labels[round(x)]
            wanted = rows[arm, short[label[0]], int(label[1])]
            assert math.isnan(value) if arm == "pkd" else value in wanted.to_list()


def test_the_end_is_hollow_and_equal_loss_is_filled_and_in_front():
    table = classifier_table(("ce",))
    axis = figures.classifiers(table).axes[0]
    ends, equal = axis.lines
    assert ends.get_markerfacecolor() == "white"
    assert equal.get_markerfacecolor() == equal.get_color() != "white"
    assert equal.get_zorder() > ends.get_zorder()
    rows = table[(table["measure"] == "trace") & (table["at"] == "equal")]
    assert sorted(equal.get_ydata()) == sorted(rows["value"])


# -- gaps ----------------------------------------------------------------------------------------


def equal_table():
    rng = np.random.default_rng(1)
    lines = [(m, "same", "ce", 4) for m in MODALITIES]
    lines += [(m, "ic", arm, e) for m in MODALITIES for e in (1, 2, 3) for arm in ARMS]
    table = pd.DataFrame(lines, columns=["modality", "network", "arm", "exit"])
    return table.assign(gap=rng.uniform(0, 3, len(table)), log_trace=rng.uniform(1, 3, len(table)))


def strata(axis):
    """Points of each thin line of an axis."""
    return [line.get_xydata() for line in axis.lines if line.get_marker() in ("None", "")]


def test_lines_join_the_networks_and_the_arms_of_each_classifier():
    table = equal_table()
    figure = figures.gaps(table, tau=-0.25)
    groups = [table[table["network"] == "same"]]
    axes = [figure.axes[0]]
    for axis, modality in zip(figure.axes[1:], ("iframe", "residual", "mv"), strict=True):
        assert NAMES[modality] in axis.get_title()
        assert [t.get_text() for t in axis.texts] == ["1", "2", "3"]
    for modality, axis in zip(("iframe", "residual", "mv"), figure.axes[1:], strict=True):
        ics = table[(table["network"] == "ic") & (table["modality"] == modality)]
        groups += [rows for _, rows in ics.groupby("exit")]
        axes += [axis] * 3
    found = [line for axis in figure.axes for line in strata(axis)]
    assert len(found) == len(groups) == 10
    for line, rows in zip(found, groups, strict=True):
        wanted = rows.sort_values("log_trace")[["log_trace", "gap"]]
        np.testing.assert_array_equal(line, wanted)
    assert "-0.25" in figure.get_suptitle()


def test_arms_in_the_legend_are_those_of_the_points():
    table = equal_table()
    figure = figures.gaps(table, tau=None)
    assert "nothing to compare" in figure.get_suptitle()
    (legend,) = figure.legends
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        points = np.concatenate([drawn(axis, handle.get_marker()) for axis in figure.axes[1:]])
        rows = table[(table["network"] == "ic") & (table["arm"] == text.get_text())]
        assert sorted(points[:, 1]) == sorted(rows["gap"])
    names = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert sorted(names) == ["I-frame", "motion", "residual"]


@pytest.mark.filterwarnings("error")
def test_missing_traces_are_left_out():
    table = equal_table()
    table.loc[(table["modality"] == "mv") | (table["network"] == "same"), "log_trace"] = math.nan
    figure = figures.gaps(table, tau=0.5)
    figure.draw_without_rendering()
    assert len(strata(figure.axes[1])) == 3
    assert strata(figure.axes[3]) == []


# -- all -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_no_text_is_cut_or_wider_than_a_page():
    drawings = [
        figures.two_minima()[0],
        figures.eigenvalues(eigen_table()),
        figures.densities(figures.density_table(spectra())),
        figures.sharpness(figures.sharpness_table(long_table(), ends_table())),
        figures.classifiers(classifier_table(ARMS)),
        figures.gaps(equal_table(), tau=0.123),
    ]
    for figure in drawings:
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        assert box.width <= 6.4
        assert box.x0 > -0.05
        assert box.x1 < figure.get_figwidth() + 0.05
