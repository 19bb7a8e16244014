"""The tables and figures of notebook 5, on the reference runs and on runs made by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from scipy import stats as scipy_stats
from test_claims import around, records

from redistill import ledger_figures, ledger_sources, ledger_tables
from redistill.claims import load_claims
from redistill.config import resolve
from redistill.errors import ConfigError, RunError
from redistill.ledger_tables import Ledger, ledger, read_ledger
from redistill.listing import Listing
from redistill.papers import PAPERS
from redistill.reference import REFERENCE
from redistill.verdicts import VerdictsConfig


@pytest.fixture(scope="module")
def reference() -> Ledger:
    return read_ledger()


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def by_hand(differences, **change) -> Ledger:
    """A ledger of one claim: S2, whose rows are those of ``records``."""
    (claim,) = (one for one in load_claims() if one.id == "S2")
    rows = {"test": {"arm": "S2a"}, "control": [{"arm": "S2b"}]}
    claim = replace(claim, rows=rows, **change)
    found = tuple(records(differences, "S2"))
    return Ledger(claims=(claim,), judged=ledger([claim], found), records=found)


def test_the_tally_counts_every_claim_once(reference):
    table = ledger_tables.tally(reference)
    assert table["paper"].to_list() == [paper.short for paper in PAPERS.values()]
    counts = table.drop(columns="paper").sum(axis=1).to_list()
    assert counts[:4] == [3, 11, 9, 15]
    assert sum(counts) == len(load_claims())
    for state in ledger_tables.ORDER:
        if total := table[state].sum():
            assert f"{total} {state}" in reference.headline()
    runs = len(list(REFERENCE.glob("*/record.json")))
    assert reference.headline().startswith(f"{len(load_claims())} claims, {runs} runs: ")


def test_failures_come_first_and_what_was_not_run_apart(reference):
    table = ledger_tables.verdicts(reference).table
    places = [ledger_tables.ORDER.index(state) for state in table["verdict"]]
    assert places == sorted(places)
    waiting = ledger_tables.not_run(reference).table
    assert set(waiting["claim"]) | set(table["claim"]) == {one.id for one in load_claims()}
    assert not set(waiting["claim"]) & set(table["claim"])
    assert set(ledger_tables.untestable(reference).table["claim"]) >= {"P3", "P8"}


def test_a_listing_is_text_and_escaped_html(reference):
    listing = Listing(pd.DataFrame({"claim": ["X1"], "in words": ["a < b & <i>c</i>"]}))
    assert repr(listing) == "X1  in words: a < b & <i>c</i>"
    assert "a &lt; b &amp; &lt;i&gt;c" in listing._repr_html_()
    none = Listing(pd.DataFrame(columns=["claim"]))
    assert (repr(none), none._repr_html_()) == ("none", "none")
    assert all(len(line) <= 100 for line in repr(ledger_tables.untestable(reference)).split("\n"))


def test_the_forest_has_the_t_interval_of_its_runs(reference):
    table = ledger_tables.forest(reference)
    runs = table[[name for name in table.columns if name.startswith("run_")]]
    for row, values in zip(table.itertuples(), runs.to_numpy(float), strict=True):
        data = values[~np.isnan(values)]
        assert row.mean == pytest.approx(data.mean(), abs=1e-6)
        if row.unit == "share of runs" or np.ptp(data) == 0 or "weizmann" in row.claim:
            continue  # Wilson's; no spread; folds, whose correction has its own tests
        theirs = scipy_stats.ttest_1samp(data, 0).confidence_interval()
        assert (row.low, row.high) == pytest.approx(tuple(theirs), rel=1e-4, abs=1e-5)


def test_margins_lie_on_the_side_that_is_claimed(reference):
    marks = ledger_tables.forest(reference).set_index("claim")["margins"]
    assert (marks["P3"], marks["P13"], marks["F9"]) == ("1", "-1", "-1 1")
    assert (marks["P10"], marks["P2 weizmann"]) == ("0.01", "")


def test_every_verdict_has_its_line_in_the_figure(reference):
    table = ledger_tables.forest(reference)
    figure = ledger_figures.forest(table)
    shown = [
        label.get_text().split("  ")[0] for axis in figure.axes for label in axis.get_yticklabels()
    ]
    assert sorted(shown) == sorted(table["claim"])
    assert {axis.get_xlabel().split(" (")[0] for axis in figure.axes} == set(table["unit"])
    for axis in figure.axes:  # every dot is inside
        low, high = axis.get_xlim()
        assert all(low <= x <= high for line in axis.lines for x in np.atleast_1d(line.get_xdata())
                   if line.get_marker() == ".")  # fmt: skip


def test_one_claim_alone_and_several_panels_can_be_drawn(reference):
    one = ledger_tables.forest(by_hand(around(3.0)))
    assert len(ledger_figures.forest(one).axes) == 1
    claim, found = reference.one("P4")
    figure = ledger_figures.closely(ledger_tables.pairs(found), claim, found)
    assert len(figure.axes[0].lines) == len(found.pairs)


def test_a_claim_nobody_ran_gives_way_to_one_that_was_run(reference):
    assert reference.one("P8")[0].id == "P8"
    assert reference.one("S3")[0].id == next(reference.verdicts())[0].id
    with pytest.raises(RunError, match="tell of no claim"):
        replace(reference, judged=dict.fromkeys(reference.judged, ())).one("P8")


def test_power_of_what_is_open_is_that_of_the_noncentral_t():
    found = by_hand(around(0.3, scale=4.0))
    (row,) = ledger_tables.further(found).itertuples()
    sd = np.std(around(0.3, scale=4.0), ddof=1)
    assert (row.claim, row.runs, row.gap) == ("S2", 10, 1.0)
    assert row.sd == pytest.approx(sd)

    def power(n):
        critical = scipy_stats.t.ppf(0.975, n - 1)
        return scipy_stats.nct.sf(critical, n - 1, np.sqrt(n) / sd)

    assert row.power == pytest.approx(power(10), rel=1e-6)
    assert power(10 + row.more) >= 0.8 > power(9 + row.more)
    curves = ledger_tables.power_curves(ledger_tables.further(found))
    assert curves["power"].to_list() == pytest.approx([power(n) for n in curves["runs"]])
    assert curves["runs"].max() > 10 + row.more
    assert len(ledger_figures.power(curves, ledger_tables.further(found)).axes) == 1


def test_what_waits_for_another_claim_has_no_power_curve(reference):
    table = ledger_tables.further(reference).set_index("claim")
    assert table.loc["S1", ["power", "more"]].isna().all()
    assert "waits for S3" in table.loc["S1", "takes"]
    assert "S1" not in set(ledger_tables.power_curves(table.reset_index())["claim"])
    assert ledger_tables.power_curves(ledger_tables.further(by_hand(around(5.0)))).empty


def test_rows_give_back_what_the_ledger_compares(reference):
    """From rows to the numbers of P3, by another way than pairing does it."""
    rows = ledger_tables.rows(reference, "accuracy", modality="all", exit="mean", split="test")
    square = rows.pivot_table(index=["data_seed", "seed"], columns="arm", values="value")
    _, found = reference.one("P3")
    assert (100 * (square["pkd"] - square["ce"])).to_list() == pytest.approx(found.differences)


def test_holm_of_a_paper_is_that_of_statsmodels_formula(reference):
    table = ledger_tables.p_values(reference.of("progressive"))
    assert table["p"].is_monotonic_increasing
    m = len(table)
    theirs = [min(1, max((m - j) * table["p"][j] for j in range(k + 1))) for k in range(m)]
    assert table["p_holm"].to_list() == pytest.approx(theirs)


def test_runs_of_different_source_behind_one_claim_are_told(reference):
    clean = ledger_sources.mixed(reference)
    assert (clean[["library", "versions"]] == 1).all(axis=None)
    changed = [dict(record) for record in reference.records]
    number = next(i for i, r in enumerate(changed) if r["run"].startswith("3-"))
    changed[number]["library_hash"] = "0" * 64
    changed[number]["versions"] = {"torch": "1.0"}
    dirty = ledger_sources.mixed(replace(reference, records=tuple(changed))).set_index("claim")
    assert tuple(dirty.loc["P3", ["library", "versions", "machines"]]) == (2, 2, 1)
    assert dirty.loc["F1", "library"] == 1
    told = ledger_sources.sources(replace(reference, records=tuple(changed)))
    (line,) = told[told["notebook"] == "3_progressive_kd"].itertuples()
    assert (line.runs, line.data_seeds, line.seeds) == (10, 5, 10)
    assert line.library.startswith("00000000, ")
    assert told["runs"].sum() == len(reference.records)


def test_a_folder_without_valid_records_is_named(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text(json.dumps({"rows": []}))
    with pytest.raises(RunError, match=r"no run folder in .* has a valid record"):
        read_ledger(tmp_path)


def test_a_misspelt_claim_or_paper_stops_before_anything_is_read():
    assert resolve(VerdictsConfig, {}).claim == "P4"
    with pytest.raises(ConfigError, match="parameter claim = 'P44'"):
        resolve(VerdictsConfig, {"claim": "P44"})
    with pytest.raises(ConfigError, match=r"Did you mean 'spectrum'"):
        resolve(VerdictsConfig, {"paper": "spektrum"})
