"""Figures that compare arms: what is drawn is what the table says, and nothing is cut off."""

from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from redistill import arm_figures, tables
from redistill.figures import style
from redistill.methods import errata
from redistill.methods.arms import ARM_NAMES, choose
from redistill.methods.errata import Erratum

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    with matplotlib.rc_context():
        style()
        yield
    plt.close("all")


def ticks(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def uncut(figure):
    """Draw, and check that every text of every axis lies inside the figure."""
    figure.canvas.draw()
    page = figure.bbox.padded(0.5)
    for axis in figure.axes:
        box = axis.get_tightbbox()
        assert box.x0 >= page.x0
        assert box.y0 >= page.y0
        assert box.x1 <= page.x1
        assert box.y1 <= page.y1
    for legend in figure.legends:
        shown = legend.get_window_extent()
        assert not any(shown.overlaps(axis.get_tightbbox()) for axis in figure.axes)


def apart(axis):
    """Check that no label of an arm overlaps the next."""
    boxes = [label.get_window_extent() for label in axis.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_each_bar_is_a_teacher_for_its_share_of_the_steps():
    arms = choose(("ce", "pkd", "anticurriculum"), seed=0)
    table = tables.teachers(arms)
    figure = arm_figures.teachers(table)
    (axis,) = figure.axes
    assert ticks(axis) == ["ce", "pkd", "anticurriculum"]
    drawn = {
        (round(bar.get_y() + bar.get_height() / 2), to_hex(bar.get_facecolor())): (
            bar.get_x(),
            bar.get_width(),
        )
        for bar in axis.patches
    }
    assert len(drawn) == len(table) == 7
    for row in table.itertuples():
        key = list(table["arm"].unique()).index(row.arm), arm_figures.TEACHERS[row.teacher].lower()
        assert drawn[key] == pytest.approx((100 * row.start, 100 * (row.end - row.start)), abs=1e-3)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["labels", "motion", "residual", "own last exit"]


def test_the_teachers_of_all_arms_fit_on_the_page():
    figure = arm_figures.teachers(tables.teachers(choose(ARM_NAMES, seed=0)))
    uncut(figure)
    apart(figure.axes[0])
    bars = {round(bar.get_y() + 0.35) for bar in figure.axes[0].patches}
    assert bars == set(range(len(ARM_NAMES)))


def gains(names=ARM_NAMES[1:]):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"arm": names, "val": rng.normal(0, 3, len(names)), "test": rng.normal(0, 3, len(names))}
    )


def test_gains_stand_in_the_row_of_their_arm():
    table = gains()
    figure = arm_figures.arm_gains(table)
    (axis,) = figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    for split in ("val", "test"):
        np.testing.assert_allclose(lines[split].get_xdata(), table[split])
        np.testing.assert_allclose(lines[split].get_ydata(), range(len(table)))
    assert lines["val"].get_markerfacecolor() == "none"
    assert lines["test"].get_markerfacecolor() != "none"
    assert ticks(axis) == table["arm"].tolist()
    uncut(figure)
    apart(axis)


def test_the_legend_of_gains_hides_no_point():
    table = gains()
    figure = arm_figures.arm_gains(table)
    figure.canvas.draw()
    (axis,) = figure.axes
    box = (figure.legends or [axis.get_legend()])[0].get_window_extent()
    for split in ("val", "test"):
        points = np.column_stack([table[split], range(len(table))])
        assert not box.count_contains(axis.transData.transform(points))


def listed():
    return errata.table(
        [
            Erratum("residual network first", "8.1.5", "WISE, equal cost", 62.0, 62.0, 91.0),
            Erratum("scores divided", "8.1.7", "unit weights, equal cost", 55.0, 61.5),
            Erratum("twice the steps for PKD", "8.1.2", "PKD minus CE", -4.5, -1.5),
        ]
    )


def test_errata_are_drawn_as_listed():
    table = listed()
    figure = arm_figures.errata(table)
    values, effects = figure.axes
    lines = {line.get_label(): line for line in values.lines}
    for column in ("as_released", "corrected", "as_printed"):
        line = lines[column.replace("_", " ")]
        np.testing.assert_allclose(line.get_xdata(), table[column])
        np.testing.assert_allclose(line.get_ydata(), [0, 1, 2])
    assert [bar.get_width() for bar in effects.patches] == pytest.approx(table["effect"].tolist())
    names = [f"{d}\n{m}" for d, m in zip(table["defect"], table["measure"], strict=True)]
    assert ticks(values) == names
    uncut(figure)


def test_every_value_of_the_errata_lies_on_the_axis():
    table = listed()
    axis = arm_figures.errata(table).axes[0]
    low, high = axis.get_xlim()
    drawn = table[["as_released", "corrected", "as_printed"]].to_numpy()
    assert low < np.nanmin(drawn)
    assert np.nanmax(drawn) < high


def test_errata_of_a_whole_study_do_not_overlap():
    rows = [
        Erratum(f"a defect with a name of some length {i}", "8.1", "PKD minus reversed", i, 50.0)
        for i in range(18)
    ]
    figure = arm_figures.errata(errata.table(rows))
    uncut(figure)
    apart(figure.axes[0])


def prices():
    rows = [
        ("as built", 1.0), ("labels swapped", 1.02), ("IC 2 as 7x7", 1.3), ("unit", 0.93),
        ("released", 1.2), ("released, charged once", 1.1),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["accounting", "ratio"])
    larger = table.assign(networks="published", ratio=table["ratio"] ** 2)
    return pd.concat([table.assign(networks="here"), larger])


def test_accountings_are_per_cent_above_what_was_computed():
    """The authors' constants are of the published networks and drawn for those alone."""
    figure = arm_figures.accountings(prices())
    (axis,) = figure.axes
    here, published = ([bar.get_width() for bar in bars] for bars in axis.containers)
    assert here == pytest.approx([0, 2, 30, -7])
    squares = [100 * (r**2 - 1) for r in (1, 1.02, 1.3, 0.93, 1.2, 1.1)]
    assert published == pytest.approx(squares)
    assert ticks(axis)[:4] == ["as built", "labels swapped", "IC 2 as 7x7", "unit"]
    uncut(figure)
    apart(axis)
