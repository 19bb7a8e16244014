"""index.html and headline with claims on shares, ratios and several controls: units and axes."""

import json
import re

import pytest
from sample import row, write_run
from strict import find, parse, text

from redistill.reference import headline
from redistill.reporting.report import build_index

EQUAL = {"plain": 0.60, "plain_fused": 0.70, "unit": 0.66, "fusion_211": 0.68}


def rows_of_third_paper(seed: int) -> list[dict]:
    """What notebook 3 writes for P3, P8, P10, P12 and P15, a little different in each run."""
    wave = (seed % 5 - 2) / 400
    rows = [row("wise_weight_share", 0.0002 + wave / 100, unit="fraction"),
            row("wise_slope", -3.0 + 100 * wave, split="test")]  # fmt: skip
    for arm, value in (("pkd", 0.62 + wave), ("ce", 0.60)):
        keys = {"arm": arm, "modality": "all", "exit": "mean", "split": "test"}
        rows.append(row("accuracy", value, unit="fraction", n=200, **keys))
    for arm, value in (EQUAL | {"wise": 0.75 + wave}).items():
        keys = {"arm": arm, "modality": "fused", "exit": "equal", "split": "test"}
        rows.append(row("accuracy", value, unit="fraction", n=200, **keys))
    return rows


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for seed in range(10):
        run = write_run(folder / f"s{seed}", seed=seed, profile="standard")
        record = json.loads((run / "record.json").read_text())
        record["rows"] += rows_of_third_paper(seed)
        (run / "record.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def tree(reports):
    return parse(build_index(reports))


def line_of(tree, claim):
    body = next(b for b in tree.iter("tbody") if b.find(f".//th[@id='{claim}']") is not None)
    return body.find("tr")


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ("P3", r"\+2\.0 \[\+\d\.\d, \+\d\.\d\] points 10 runs"),
        ("P8", r"\+5\.0 \[\+\d\.\d, \+\d\.\d\] points 10 runs"),
        ("P10", r"0\.0002 \[0\.00\d+, 0\.00\d+\] share of MACs 10 runs"),
        ("P12", r"−3 \[−3\.\d+, −2\.\d+\] points per unit of correlation 10 runs"),
        ("P15", r"1 \[0\.722, 1\] share of runs 10 runs"),
    ],
)
def test_each_unit_is_written_in_its_own_way(tree, claim, shown):
    assert re.search(shown, text(line_of(tree, claim)).replace("\u00a0", " "))


def test_of_several_controls_the_one_that_decides_is_named(tree, reports):
    named = "wise fused equal against plain_fused fused equal"
    assert f"The weakest comparison is shown: {named}." in text(line_of(tree, "P8"))
    assert "weakest" not in text(line_of(tree, "P3"))
    assert f"{named} is the weakest comparison; more" in headline("P8", folder=reports)


@pytest.mark.parametrize(
    ("claim", "axis"),
    [("P3", (-2, 6)), ("P8", (-2, 6)), ("P10", (0, 0.01)), ("P12", (-3.5, 0)), ("P15", (0, 1))],
)
def test_strips_of_one_unit_share_an_axis_that_holds_zero_margin_and_dots(tree, claim, axis):
    svg = line_of(tree, claim).find(".//svg")
    low, high = map(float, re.search(r"axis from (.+) to (.+)$",
                                     svg.get("aria-label").replace("−", "-")).groups())  # fmt: skip
    assert (low, high) == pytest.approx(axis)
    dots = [float(dot.get("cx")) for dot in find(svg, "seed")]
    marks = [float(line.get("x1")) for line in find(svg, "margin") + find(svg, "zero")]
    assert len(dots) == 10
    assert all(6 <= x <= 244 for x in dots + marks)
    assert len(find(svg, "margin")) == (claim != "P12")  # whose margin is zero


def test_the_reading_names_every_axis(tree):
    reading = text(find(tree, "reading")[0]).replace("−", "-")
    assert "-2 to 6 points" in reading
    assert "0 to 0.01 share of MACs" in reading


def test_headline_gives_the_unit_of_each_claim(reports):
    lines = headline("P10", "P12", "P15", folder=reports)
    assert "reproduced (0.0002 [0.000" in lines
    assert "share of MACs in 10 runs)" in lines
    assert "points per unit of correlation in 10 runs)" in lines
    assert "1 [0.722, 1] share of runs in 10 runs)" in lines
