"""The tables behind the landscape pair: every number is that of the notebook's tables."""

import dataclasses

import numpy as np
import pytest
from drawn_landscapes import (
    MODALITIES,
    RANDOM,
    SHARP,
    STEPS,
    drawn,
    drawn_ends,
    drawn_line,
    drawn_lines,
    drawn_plane,
    drawn_planes,
)

from redistill.errors import ConfigError
from redistill.explore.landscape_table import landscapes
from redistill.landscape_figures import surface_table


def with_loss(table, loss, *places):
    table = table.copy()
    table.loc[list(places), "loss"] = loss
    return table


def test_every_point_stands_where_the_table_has_it():
    given = drawn()
    data = landscapes(**given)
    for plane, table in given["planes"].items():
        for row in table.itertuples():
            for quantity, value in (("loss", row.loss), ("accuracy", 100 * row.accuracy)):
                heights = data.heights[plane, row.modality, quantity]
                y, x = list(heights.b).index(row.b), list(heights.a).index(row.a)
                assert heights.values[y, x] == value


def test_one_scale_holds_for_all_networks_of_a_plane():
    given = drawn()
    data = landscapes(**given)
    for plane, table in given["planes"].items():
        tops = sorted(
            max(r.loss for r in table.itertuples() if r.modality == m) for m in MODALITIES
        )
        assert data.scales[plane, "loss"] == (min(table["loss"]), tops[1])
        assert data.scales[plane, "accuracy"] == (0, 100)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_counts_nowhere(bad):
    planes = drawn_planes()
    table = planes[RANDOM] = with_loss(planes[RANDOM], bad, 0, 3)  # both of the I-frame network
    heights = landscapes(**drawn(planes=planes)).heights[RANDOM, "iframe", "loss"]
    rest = [row.loss for row in table.itertuples() if row.modality == "iframe"]
    rest = [loss for n, loss in enumerate(rest) if n not in (0, 3)]
    assert (heights.low, heights.high) == (min(rest), max(rest))
    assert np.isnan(heights.values).sum() == 2


def test_a_flat_plane_has_a_scale_nonetheless():
    flat = surface_table({m: drawn_plane(0.0, floor=0.7) for m in MODALITIES})
    assert landscapes(**drawn(planes={RANDOM: flat})).scales[RANDOM, "loss"] == (0.7, 1.7)


def test_networks_stand_in_the_order_of_the_claim():
    assert landscapes(**drawn()).networks == ("iframe", "residual", "mv")


def test_a_plane_that_lacks_a_network_is_left_out():
    planes = drawn_planes()
    planes[SHARP] = planes[SHARP][planes[SHARP]["modality"] != "mv"]
    data = landscapes(**drawn(planes=planes))
    assert data.planes == (RANDOM,)
    assert {plane for plane, _, _ in data.heights} == {RANDOM}


def test_accuracy_is_left_out_where_a_plane_lacks_it():
    planes = drawn_planes()
    planes[SHARP] = planes[SHARP].drop(columns="accuracy")
    assert landscapes(**drawn(planes=planes)).quantities == ("loss",)


def test_lines_are_read_at_their_own_steps():
    lines = drawn_lines()
    data = landscapes(**drawn())
    assert data.exits == (1, 2, 3)
    assert data.steps.tolist() == STEPS.tolist()
    for (modality, number), each in lines.items():
        for step in range(len(STEPS)):
            want = each.loss[step][0], 100 * each.accuracy[step][0]
            assert data.at(modality, number, step) == want


def test_a_line_without_a_number_or_of_nobody_gives_none():
    lines = drawn_lines()
    loss = lines["mv", 2].loss.copy()
    loss[4] = np.inf
    lines["mv", 2] = dataclasses.replace(lines["mv", 2], loss=loss)
    del lines["iframe", 1]
    data = landscapes(**drawn(lines=lines))
    assert np.isnan(data.at("mv", 2, 4)[0])
    assert data.at("mv", 2, 4)[1] == 100 * lines["mv", 2].accuracy[4, 0]
    assert np.isnan(data.at("iframe", 1, 0)).all()


def test_flatness_is_that_of_the_networks_of_one_depth():
    data = landscapes(**drawn())
    for n, name in enumerate(MODALITIES, start=1):
        one = data.flatness["trace", name]
        assert (one.value, one.low, one.high) == (100.0 * n, 81.5 * n, 121.25 * n)
        assert data.flatness["top", name].high == 40.5 * n
        assert data.scores[name] == (0.111 * n, pytest.approx(90 / n))


def test_flatness_of_a_network_without_one_is_not_known():
    data = landscapes(**drawn(ends=drawn_ends(("iframe", "residual")).drop(columns="top_low")))
    assert np.isnan(data.flatness["trace", "mv"].value)
    assert np.isnan(data.scores["mv"]).all()
    assert np.isnan(data.flatness["top", "iframe"].low)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"planes": {}}, "no planes given"),
        ({"lines": {}}, "no lines between classifiers given"),
        (
            {"lines": drawn_lines() | {("mv", 2): drawn_line(1, 1, steps=STEPS + 0.1)}},
            "line of classifier 2 of mv has steps",
        ),
        ({"planes": {RANDOM: drawn_planes()[RANDOM].assign(loss=np.inf)}}, "holds no finite loss"),
    ],
)
def test_tables_that_cannot_be_shown_are_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        landscapes(**drawn(**changes))
