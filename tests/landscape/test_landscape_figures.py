"""Figures of landscapes: tables hold every point, and what is drawn is what they say."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from redistill import landscape_figures as figures
from redistill.figures import COLOURS, style
from redistill.landscape import Surface

matplotlib.use("Agg")
STEPS = np.linspace(-1, 1, 5)


@pytest.fixture(autouse=True)
def styled():
    with matplotlib.rc_context():
        style()
        yield
    plt.close("all")


def plane(factor: float) -> Surface:
    a, b = STEPS, STEPS[:3]
    values = factor * (a[:, None] ** 2 + 2 * b**2) + 0.1
    return Surface(a=a, b=b, loss=values, accuracy=1 - values / 100, cosine=0.0)


def slope(*values: float, a=(-1, 0, 1)) -> Surface:
    column = np.array(values, dtype=float)[:, None]
    share = 1 - column / 100
    return Surface(a=np.array(a, float), b=np.zeros(1), loss=column, accuracy=share, cosine=None)


def planes():
    return {"iframe": plane(1), "residual": plane(2), "mv": plane(8)}


def ways():
    return {
        "mv": [slope(4, 1, 6), slope(2, 1, 8), slope(np.inf, 1, 1)],
        "iframe": [slope(2, 1, 2), slope(1, 1, 4)],
    }


def test_the_table_of_surfaces_has_a_line_for_each_point():
    table = figures.surface_table(planes())
    assert len(table) == 3 * 5 * 3
    for modality, each in planes().items():
        rows = table[table["modality"] == modality].set_index(["a", "b"])
        assert rows.loc[(0.5, -1.0), "loss"] == each.loss[3, 0]
        assert rows.loc[(-1.0, 0.0), "accuracy"] == each.accuracy[0, 2]


def test_the_table_of_slices_has_mean_least_and_largest():
    table = figures.slices_table(ways()).set_index(["modality", "a"])
    assert table.loc[("mv", 1.0), ["loss", "loss_low", "loss_high"]].tolist() == [5, 1, 8]
    assert table.loc[("mv", -1.0), ["loss", "loss_low", "loss_high"]].tolist() == [
        np.inf,
        2,
        np.inf,
    ]
    shares = ["accuracy", "accuracy_low", "accuracy_high"]
    assert table.loc[("iframe", 1.0), shares].tolist() == pytest.approx([0.97, 0.96, 0.98])
    assert table["directions"].groupby("modality").unique().map(list).to_dict() == {
        "mv": [3], "iframe": [2],
    }  # fmt: skip


def test_the_table_of_lines_names_them():
    table = figures.lines_table({"exit 1": slope(1, 2, 3), "exit 2": slope(4, 5, 6)})
    assert list(table.columns) == ["line", "a", "loss", "accuracy"]
    assert table["loss"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["line"].tolist() == 3 * ["exit 1"] + 3 * ["exit 2"]


def test_the_common_height_is_the_median_of_the_largest_finite_losses():
    table = figures.surface_table(planes())
    assert figures.common_top(table) == pytest.approx(2 * 3 + 0.1)
    table.loc[(table["modality"] == "residual") & (table["loss"] > 6), "loss"] = np.inf
    assert figures.common_top(table) == pytest.approx(2 * 2.25 + 0.1)


def test_surfaces_share_camera_scale_and_colours():
    figure = figures.surfaces(figures.surface_table(planes()))
    upright, flat = figure.axes[0:6:2], figure.axes[1:6:2]
    assert [axis.get_title() for axis in upright] == ["I-frame", "residual", "motion"]
    assert len({(axis.elev, axis.azim, axis.get_zlim()) for axis in upright}) == 1
    assert len({axis.collections[0].get_clim() for axis in upright}) == 1
    assert len({tuple(axis.collections[0].levels) for axis in flat}) == 1
    assert figure.axes[6].get_ylabel() == "loss, cut at 6.1"


def test_a_surface_stands_where_its_table_says():
    """The corner of the first axis, at a = 1 and b = -1, is not that at a = -1 and b = 1."""
    tilted = plane(1)
    tilted.loss[:] = np.arange(15).reshape(5, 3)  # 12 at a = 1, b = -1
    figure = figures.surfaces(figures.surface_table({"mv": tilted}))
    corners = np.concatenate(figure.axes[0].collections[0]._faces)
    place = np.isclose(corners[:, 0], 1) & np.isclose(corners[:, 1], -1)
    assert set(corners[place][:, 2]) == {12.0}


def test_what_is_above_the_height_is_drawn_at_it():
    surfaces = planes()
    surfaces["mv"].loss[0, 0] = np.inf
    figure = figures.surfaces(figures.surface_table(surfaces), top=3.0)
    for axis in figure.axes[0:6:2]:
        assert max(face[:, 2].max() for face in axis.collections[0]._faces) <= 3.0
    assert figure.axes[6].get_ylabel() == "loss, cut at 3"


def test_slices_draw_means_bands_and_their_meaning():
    figure = figures.slices(figures.slices_table(ways()), top=10)
    loss, accuracy = figure.axes
    assert [to_hex(line.get_color()).upper() for line in loss.lines] == [
        COLOURS["mv"], COLOURS["iframe"],
    ]  # fmt: skip
    assert loss.lines[0].get_ydata()[1:].tolist() == [1, 5]
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), [98.5, 99, 97])
    band = loss.collections[1].get_paths()[0].vertices
    assert {tuple(x) for x in band} >= {(-1, 1), (-1, 2), (1, 2), (1, 4)}
    assert loss.get_ylim() == (0, 10)
    assert loss.get_ylabel() == "loss, cut at 10"
    assert figure.legends[0].get_title().get_text() == "band: least to largest of 2 to 3 directions"


def test_lines_draw_both_ends_and_leave_gaps_where_there_is_no_number():
    table = figures.lines_table({"exit 1": slope(1, 2, np.inf), "exit 2": slope(4, 5, 6)})
    figure = figures.lines(table, ends=("CE", "PKD"))
    loss, accuracy = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), [1, 2, np.nan])
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), [96, 95, 94])
    assert loss.get_xlabel() == "from CE (0) to PKD (1)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exit 1", "exit 2"]


@pytest.mark.filterwarnings("error")
def test_figures_draw_without_a_word():
    drawn = [
        figures.surfaces(figures.surface_table(planes())),
        figures.slices(figures.slices_table(ways())),
        figures.lines(figures.lines_table({"exit 1": slope(1, 2, 3)}), ends=("CE", "PKD")),
    ]
    for figure in drawn:
        figure.canvas.draw()
        assert figure.get_size_inches()[0] <= 6.5


def test_squares_hold_the_same_losses():
    table = figures.surface_table({"mv": plane(1.0), "iframe": plane(2.0)})
    wide = figures.square(table)
    for row in table.itertuples():
        line = wide[(wide["modality"] == row.modality) & (wide["a"] == row.a)]
        assert line[f"b = {row.b:.4g}"].item() == row.loss
    assert len(wide) * (wide.shape[1] - 2) == len(table)


def test_seen_from_above_with_and_without_numbers_that_are_missing():
    table = figures.surface_table({"mv": plane(1.0), "iframe": plane(2.0)})
    table.loc[3, "loss"] = float("nan")
    figure = figures.contours(table)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["motion", "I-frame"]
    assert len(figure.axes) == 3  # one scale for both
