"""The landscape pair: what is drawn and said is what the tables hold, at every setting."""

import io
import math
from itertools import pairwise, product

import matplotlib
import numpy as np
import pandas as pd
import pytest
from drawn_landscapes import (
    MODALITIES,
    RANDOM,
    SHARP,
    STEPS,
    drawn,
    drawn_ends,
    drawn_lines,
    drawn_plane,
    drawn_planes,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from PIL import Image

from redistill.explore import landscape
from redistill.explore.landscape_board import DPI, HIGH, PICTURE, RULERS, SIDES, WIDE, Board
from redistill.explore.landscape_ruler import ruler
from redistill.explore.landscape_said import said
from redistill.explore.landscape_table import landscapes
from redistill.figures import style
from redistill.landscape_figures import CAMERA, square, surface_table

NAMES = {"iframe": "I-frame", "mv": "motion", "residual": "residual"}


@pytest.fixture(autouse=True, scope="module")
def styled():
    with matplotlib.rc_context():
        matplotlib.use("agg")
        style()
        yield


@pytest.fixture(scope="module")
def pair():
    """One panel that tests move about, and its board; each test sets all that it relies on."""
    made = []

    def board(data):
        made.append(Board(data))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landscape, "Board", board)
        panel = landscape.landscape_pair(**drawn())
    return panel, made[0]


def pixels(panel, side):
    picture = np.asarray(Image.open(io.BytesIO(panel.canvas.widget.value)))
    x = SIDES[side]
    return picture[24 : 24 + PICTURE[1], x : x + PICTURE[0]]


def told(given, *, left, right, plane, quantity, camera, classifier, place):
    """The sentence, from the tables by loops."""
    unit, factor = (" %", 100) if quantity == "accuracy" else ("", 1)
    reach, tops = {}, []
    for name in MODALITIES:
        rows = [r for r in given["planes"][plane].itertuples() if r.modality == name]
        values = [factor * getattr(row, quantity) for row in rows]
        reach[name] = min(values), max(values)
        tops.append(max(values))
    low = 0 if unit else min(least for least, _ in reach.values())
    top = 100 if unit else sorted(tops)[1]
    cut = "" if unit else f", what is higher is cut at {top:.4g}"
    ranges = [f"{reach[n][0]:.4g} to {reach[n][1]:.4g}{unit}" for n in (left, right)]
    ends = [r for n in (left, right) for r in given["ends"].itertuples()
            if (r.modality, r.network) == (n, "same")]  # fmt: skip
    tops = [f"{r.top:.4g} [{r.top_low:.4g}, {r.top_high:.4g}]" for r in ends]
    traces = [f"{r.trace:.4g} [{r.trace_low:.4g}, {r.trace_high:.4g}]" for r in ends]
    step = STEPS.tolist().index(place)
    walk = [given["lines"][n, classifier] for n in (left, right)]
    losses = [f"{each.loss[step][0]:.4g}" for each in walk]
    shares = [f"{100 * each.accuracy[step][0]:.4g}" for each in walk]
    first = NAMES[left].replace("motion", "Motion").replace("residual", "Residual")
    return (
        f"{first} (left) against {NAMES[right]} (right) along {plane}, seen from {camera} degrees: "
        f"{quantity} from {low:.4g} to {top:.4g}{unit} on one scale{cut}; measured {ranges[0]} "
        f"against {ranges[1]}. Largest eigenvalue {tops[0]} against {tops[1]}, trace {traces[0]} "
        f"against {traces[1]}, where the loss over the training sample is {ends[0].train_loss:.4g} "
        f"against {ends[1].train_loss:.4g}, the accuracy on the test clips "
        f"{100 * ends[0].test_accuracy:.4g} against {100 * ends[1].test_accuracy:.4g} %. "
        f"Classifiers {classifier} at {place:.4g} on the line from CE (0) to PKD (1): loss "
        f"{losses[0]} against {losses[1]}, accuracy {shares[0]} against {shares[1]} %. Surfaces, "
        "eigenvalue, trace and line are of the same 6 training clips."
    )


START = {"left": "iframe", "right": "mv", "plane": RANDOM, "quantity": "loss", "camera": -55,
         "classifier": 3, "place": 0.0}  # fmt: skip
SOME = {name: value for name, value in START.items() if name != "place"} | {"step": 1}
MOVES = [("left", "mv"), ("left", "residual"), ("right", "iframe"), ("plane", SHARP),
         ("quantity", "accuracy"), ("camera", 155), ("camera", -175), ("classifier", 1),
         ("classifier", 2), *(("place", float(x)) for x in STEPS[[0, 3, 6]])]  # fmt: skip


def test_it_opens_with_the_camera_of_the_other_figures_at_the_first_end(pair):
    panel, _ = pair
    assert panel.values == START
    assert CAMERA["azim"] == -55
    assert panel.said == told(drawn(), **START)


@pytest.mark.parametrize(("control", "value"), MOVES)
def test_every_control_changes_picture_and_sentence(pair, control, value):
    shared, _ = pair
    shared.set(**START)
    before = shared.canvas.widget.value
    shared.controls[control].value = value  # as a hand does it
    assert shared.said == told(drawn(), **START | {control: value})
    assert shared.canvas.widget.value != before
    shared.controls[control].value = START[control]
    assert shared.canvas.widget.value == before


def test_both_sides_draw_the_chosen_grid_in_one_scale_and_camera(monkeypatch):
    made, drawn_now, build, draw = {}, [], Axes3D.plot_surface, Poly3DCollection.draw

    def plot_surface(axis, a, b, loss, **look):
        found = build(axis, a, b, loss, **look)
        made[found] = axis, a, b, loss, look
        return found

    def noted(collection, renderer):
        if collection.get_visible():
            drawn_now.append((made[collection], collection.axes.azim))
        draw(collection, renderer)

    monkeypatch.setattr(Axes3D, "plot_surface", plot_surface)
    monkeypatch.setattr(Poly3DCollection, "draw", noted)
    planes = drawn_planes()
    table = planes[SHARP]
    table.loc[[18, 33], "loss"] = math.nan, math.inf  # of mv and residual; both lie at the top
    panel = landscape.landscape_pair(**drawn(planes=planes))
    drawn_now.clear()
    panel.set(plane=SHARP, left="residual", right="mv", camera=35)
    table = table.fillna(math.inf)
    known = table[table["loss"] < math.inf]
    top = sorted(known[known["modality"] == m]["loss"].max() for m in MODALITIES)[1]
    for (parts, azimuth), name in zip(drawn_now, ("residual", "mv"), strict=True):
        axis, a, b, loss, look = parts
        for row in table[table["modality"] == name].itertuples():
            (spot,) = np.argwhere((a == row.a) & (b == row.b))
            assert loss[tuple(spot)] == min(row.loss, top)
        assert (look["vmin"], look["vmax"]) == (table["loss"].min(), top) == axis.get_zlim()
        assert (axis.elev, azimuth) == (CAMERA["elev"], 35)


def test_a_picture_is_that_of_a_figure_drawn_alone(pair):
    """Frame and surface are drawn apart; together they are what matplotlib draws at once."""
    _, board = pair
    surfaces = board.surfaces
    surfaces.picture((RANDOM, "mv", "loss"), 95)
    found = surfaces.picture((RANDOM, "residual", "loss"), 5)
    frame = surfaces._frames[RANDOM, "loss"]
    frame._surfaces["residual"].set_visible(True)
    frame._canvas.draw()
    frame._surfaces["residual"].set_visible(False)  # for the tests that follow
    assert (found == np.asarray(frame._canvas.buffer_rgba())).all()


def test_a_picture_lies_whole_on_the_side_that_was_chosen(pair):
    panel, board = pair
    for left, right in product(MODALITIES, repeat=2):
        panel.set(**START | {"left": left, "right": right})
        for side, network in (("left", left), ("right", right)):
            want = board.surfaces.picture((RANDOM, network, "loss"), -55)[..., :3]
            assert (pixels(panel, side) == want).all()


def test_networks_planes_quantities_and_cameras_look_different(pair):
    _, board = pair
    keys = product((RANDOM, SHARP), MODALITIES, ("loss", "accuracy"))
    seen = [board.surfaces.picture(key, camera).tobytes() for key in keys for camera in (-55, 5)]
    assert len(set(seen)) == 24


def test_a_view_is_drawn_once(pair):
    panel, board = pair
    key = RANDOM, "mv", "loss"
    first = board.surfaces.picture(key, -55)
    panel.set(camera=5)
    panel.set(camera=-55)
    assert board.surfaces.picture(key, -55) is first


def test_the_dots_walk_along_both_curves(pair):
    panel, board = pair
    for place, number in product(STEPS, (1, 3)):
        panel.set(place=place, classifier=number, left="mv", right="residual")
        step = STEPS.tolist().index(place)
        for (quantity, side), curve in board._curves.items():
            each = drawn_lines()[panel.values[side], number]
            values = each.loss[:, 0] if quantity == "loss" else 100 * each.accuracy[:, 0]
            assert curve.get_xydata().tolist() == [list(x) for x in zip(STEPS, values, strict=True)]
            dot = board._dots[quantity, side].get_xydata()
            assert dot.tolist() == [[place, values[step]]]
        assert all(line.get_xdata() == [place] * 2 for line in board._at)


def test_the_ruler_has_the_intervals_of_the_table_and_marks_the_pair(pair):
    panel, board = pair
    rows = drawn_ends().query("network == 'same'").set_index("modality")
    for axis, measure in zip(board.canvas.figure.axes[:2], ("top", "trace"), strict=True):
        assert axis.get_xscale() == "log"
        assert len(axis.get_xticks()) >= 1
        bars, marks = axis.lines[::2], axis.lines[1::2]
        for place, name in enumerate(("iframe", "residual", "mv")):
            low, high = rows.loc[name, [f"{measure}_low", f"{measure}_high"]]
            assert bars[place].get_xydata().tolist() == [[low, place], [high, place]]
            assert marks[place].get_xydata().tolist() == [[rows.loc[name, measure], place]]
            assert axis.get_xlim()[0] < low < high < axis.get_xlim()[1]
    panel.set(left="mv", right="residual")
    marks = {(*key, mark.get_position()[1]) for key, mark in board._marks.items()}
    assert marks == set(product(("top", "trace"), ("left",), (2,))) | set(
        product(("top", "trace"), ("right",), (1,))
    )


@pytest.mark.parametrize("span", [1.0, 1.2, 2.4, 4.9, 6, 29, 31, 5e3, 1e9])
@pytest.mark.parametrize("low", [0.013, 7.7, 2.1e5])
def test_a_ruler_of_any_span_has_a_number_and_none_on_another(span, low):
    ends = drawn_ends().assign(trace=low, trace_low=low, trace_high=low * span)
    axis = ruler_of(ends)
    first, last = axis.get_xlim()
    inside = [t for t in axis.xaxis.get_major_ticks() if first <= t.get_loc() <= last]
    boxes = [tick.label1.get_window_extent() for tick in inside if tick.label1.get_text()]
    assert boxes
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def ruler_of(ends):
    """The axis of the trace in a figure of its own, as large as on the board."""
    figure = Figure(figsize=(WIDE / DPI, HIGH / DPI), dpi=DPI, layout="none")
    axis = figure.add_axes(RULERS["trace"])
    ruler(axis, landscapes(**drawn(ends=ends)), "trace")
    FigureCanvasAgg(figure).draw()
    return axis


def test_an_interval_below_zero_reaches_the_edge():
    ends = drawn_ends().assign(trace_low=-5.0)
    ends.loc[ends["modality"] == "mv", ["trace", "trace_high"]] = -2.0, -1.0
    axis = ruler_of(ends)
    assert axis.lines[0].get_xdata().tolist() == [axis.get_xlim()[0], 121.25]
    assert axis.lines[5].get_xdata().tolist() == [axis.get_xlim()[0]]
    assert axis.lines[5].get_markerfacecolor() == "white"
    assert axis.lines[1].get_markerfacecolor() != "white"
    text = said(landscapes(**drawn(ends=ends)), **SOME)
    assert "trace 100 [-5, 121.2] against -2 [-5, -1]" in text


def test_a_ruler_leaves_out_what_is_not_known():
    axis = ruler_of(drawn_ends().assign(trace=math.nan, trace_low=math.nan, trace_high=math.nan))
    assert not axis.lines
    assert len(axis.get_yticklabels()) == 3


def test_what_is_not_known_is_said_and_never_as_nan():
    planes, lines = drawn_planes(), drawn_lines()
    planes[RANDOM].loc[planes[RANDOM]["modality"] == "residual", "loss"] = math.nan
    lines["mv", 3].loss[:] = np.inf
    ends = drawn_ends(("iframe", "residual"), top=math.nan)
    data = landscapes(**drawn(planes=planes, lines=lines, ends=ends))
    Board(data).move(**SOME | {"left": "residual"})
    text = said(data, **SOME | {"left": "residual"})
    assert "measured not known to not known against 0." in text
    assert (
        "eigenvalue not known against not known, trace 200 [163, 242.5] against not known" in text
    )
    assert "is 0.222 against not known" in text
    assert "(1): loss 2.8 against not known" in text
    assert "nan" not in text


def test_one_network_alone_and_flat():
    plane = {"iframe": drawn_plane(0.0, floor=0.7)}
    given = {"planes": {RANDOM: surface_table(plane)}, "lines": drawn_lines(("iframe",))}
    panel = landscape.landscape_pair(**drawn(**given, ends=drawn_ends(("iframe",))))
    assert panel.values["left"] == panel.values["right"] == "iframe"
    assert panel.controls["plane"].options == (RANDOM,)
    assert "loss from 0.7 to 1.7 on one scale" in panel.said
    assert (pixels(panel, "left") == pixels(panel, "right")).all()
    panel.show()


def test_the_twin_is_the_figure_of_the_surfaces(monkeypatch, tmp_path):
    monkeypatch.setenv("REDISTILL_RUN_DIR", str(tmp_path))
    (tmp_path / "figures").mkdir()
    given = drawn()
    panel = landscape.landscape_pair(**given)
    panel.set(plane=SHARP, left="mv")  # the twin does not depend on what was moved
    panel.show()
    for name, table in drawn_planes().items():  # nor does anything change what was given
        pd.testing.assert_frame_equal(given["planes"][name], table)
    kept = pd.read_csv(tmp_path / "figures/surfaces.csv")
    pd.testing.assert_frame_equal(kept, square(drawn_planes()[RANDOM]), check_exact=False)
    assert (tmp_path / "figures/surfaces.png").stat().st_size > 5000


def test_nothing_that_is_drawn_lies_on_another_label(pair):
    """Titles end before the next begins, and stay left of the rulers' names."""
    panel, board = pair
    panel.set(left="residual", right="residual", plane=SHARP)
    left, right = (board._titles[side].get_window_extent() for side in SIDES)
    assert left.x1 < right.x0
    names = [label.get_window_extent() for axis in board.canvas.figure.axes[:2]
             for label in axis.get_yticklabels()]  # fmt: skip
    assert max(right.x1, SIDES["right"] + PICTURE[0]) <= min(box.x0 for box in names)
