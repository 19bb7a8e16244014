"""The ledger's content, and each way to a verdict."""

from dataclasses import replace

import pytest

from redistill import claims as module
from redistill.claims import _claim, ledger, load_claims, verdict
from redistill.errors import ConfigError

SPREAD = (-1.2, -0.8, -0.5, -0.2, 0.0, 0.1, 0.3, 0.5, 0.8, 1.0)  # mean 0, sd 0.70


def entry(name="S1", **change):
    base = {
        "id": name, "paper": "substage", "claim": "c", "metric": "m", "test": "t", "control": "k",
        "rule": "superiority", "direction": "greater", "margin": 1.0, "data": ["SL"], "source": "s",
        "rows": {"test": {"arm": f"{name}a"}, "control": [{"arm": f"{name}b"}]},
    }  # fmt: skip
    return base | change


def claim(name="S1", **change):
    return _claim(entry(name, **change))


def records(differences, name="S1", profile="standard", **parameters):
    """One record for each difference (points), as written by runs with other seeds."""
    for seed, difference in enumerate(differences):
        rows = [
            {"name": "accuracy", "value": 0.5 + points / 100, "unit": "fraction", "n": 100,
             "keys": {"arm": f"{name}{arm}", "split": "test"}}
            for arm, points in (("a", difference), ("b", 0.0))
        ]  # fmt: skip
        about = {"dataset": "synthetic", "world": "crossed", "seed": seed, "data_seed": seed % 2}
        about |= {"profile": profile} | parameters
        yield {"status": "completed", "run": f"{name}-{seed}", "profile": profile,
               "parameters": about, "rows": rows}  # fmt: skip


def around(mean, n=10, scale=1.0):
    return [mean + scale * SPREAD[i % 10] for i in range(n)]


def judge(differences, **change):
    return verdict(claim(**change), list(records(differences)))[0]


def test_the_ledger_holds_all_claims():
    names = [one.id for one in load_claims()]
    wanted = [f"S{i}" for i in range(1, 12)] + [f"F{i}" for i in range(1, 10)]
    wanted += [f"P{i}" for i in range(1, 16)]
    assert set(wanted) <= set(names)
    assert len(names) == len(set(names))


def test_headline_claims_are_decided_by_their_controls():
    deciders = {one.id: one.decided_by for one in load_claims() if one.decided_by}
    assert deciders == {
        "S1": ("S2", "S3"), "F2": ("F3", "F4"), "P4": ("P5", "P7"), "P8": ("P9", "P10"),
    }  # fmt: skip


def test_without_runs_nothing_is_judged():
    for one, verdicts in ledger(load_claims(), []).items():
        assert {v.state for v in verdicts} <= {"not yet run", "not testable here"}, one
        assert verdicts[0].state == "not yet run"  # what is not built yet is not untestable


@pytest.mark.parametrize(
    ("differences", "change", "state"),
    [
        (around(2.0), {}, "reproduced"),
        (around(0.0), {}, "not reproduced"),  # interval (-.5, .5), below the margin of 1
        (around(-2.0), {}, "not reproduced"),
        (around(0.0, scale=4), {}, "inconclusive"),
        (around(-2.0), {"direction": "less"}, "reproduced"),
        (around(2.0), {"direction": "less"}, "not reproduced"),
        (around(0.0, scale=4), {"direction": "less"}, "inconclusive"),
        (around(0.0), {"rule": "equivalence"}, "reproduced"),
        (around(3.0), {"rule": "equivalence"}, "not reproduced"),
        (around(0.8), {"rule": "equivalence"}, "inconclusive"),
        ([0.0] * 10, {}, "not reproduced"),
        ([2.0] * 10, {}, "reproduced"),
        ([0.0] * 10, {"rule": "equivalence"}, "reproduced"),
        ([0.0] * 10, {"margin": 0.0}, "not reproduced"),
    ],
)
def test_ten_runs_decide_by_the_interval(differences, change, state):
    found = judge(differences, **change)
    assert found.state == state, found.why
    assert (found.runs_needed is not None) == (state == "inconclusive")
    assert found.interval.n == 10


def test_a_small_but_certain_effect_is_reproduced_and_called_small():
    found = judge(around(0.6, scale=0.2))
    assert found.state == "reproduced"
    assert "below the margin of 1" in found.why


def test_nine_runs_decide_nothing_however_clear():
    found = judge(around(8.0, n=9))
    assert (found.state, found.runs_needed, found.p) == ("inconclusive", 1, None)
    one = judge([8.0])
    assert (one.state, one.runs_needed, one.interval) == ("inconclusive", 9, None)


def test_an_inconclusive_verdict_says_what_it_would_take():
    found = judge(around(0.0, scale=4))  # ((1.96 + .84) 2.784)^2 = 60.8, and 2 more for t
    assert found.runs_needed == 63 - 10
    wide = judge([100 * (-1) ** i for i in range(10)])
    assert (wide.state, wide.runs_needed) == ("inconclusive", None)


def test_quick_runs_are_shown_but_never_counted():
    quick = list(records(around(5.0), profile="quick"))
    found = verdict(claim(), quick)[0]
    assert (found.state, len(found.pairs), found.interval) == ("not yet run", 10, None)
    mixed = verdict(claim(), [*quick, *records(around(2.0))])
    assert [v.state for v in mixed] == ["not yet run", "reproduced"]


def test_worlds_are_judged_apart():
    runs = [*records(around(2.0)), *records(around(0.0), world="scene_led")]
    found = {v.world: v.state for v in verdict(claim(), runs)}
    assert found == {"crossed": "reproduced", "scene_led": "not reproduced"}


def test_holm_takes_back_what_only_one_of_many_tests_shows():
    names = [f"S{i}" for i in range(1, 12)]
    weak = around(0.55)  # p = .03 by itself
    many = [claim(name) for name in names]
    runs = [one for name in names for one in records(weak, name)]
    alone = ledger(many[:1], list(records(weak)))["S1"][0]
    assert (alone.state, alone.p_holm) == ("reproduced", alone.p)
    together = ledger(many, runs)["S1"][0]
    assert together.state == "inconclusive"
    assert together.p_holm == pytest.approx(min(1, 11 * together.p))
    other = [claim(name, paper="spectrum") for name in names[1:]]
    assert ledger([many[0], *other], runs)["S1"][0].state == "reproduced"


@pytest.mark.parametrize(
    ("decider", "state"),
    [(around(2.0), "reproduced"), (around(0.0), "not reproduced"),
     (around(0.0, scale=4), "inconclusive"), ([], "inconclusive")],
)  # fmt: skip
def test_a_headline_holds_only_with_the_claim_that_decides_it(decider, state):
    pair = [claim("S1", decided_by=["S2"]), claim("S2")]
    runs = [*records(around(2.0)), *records(decider, "S2")]
    found = ledger(pair, runs)["S1"][0]
    assert found.state == state
    assert state == "reproduced" or "S2" in found.why


def test_what_cannot_be_tested_stands_beside_what_can():
    found = ledger([claim(untestable="no weights")], list(records(around(2.0))))["S1"]
    assert [v.state for v in found] == ["reproduced", "not testable here"]


def test_a_run_without_a_valid_record_is_not_counted():
    runs = [one | {"status": "killed"} for one in records(around(2.0))]
    assert verdict(claim(), runs)[0].state == "not yet run"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rul": "x"}, "Did you mean 'rule'"),
        ({"rule": "better"}, "rule is 'better'"),
        ({"rule": "order"}, "'test' do not fit the rule 'order'"),
        ({"rows": {"control": []}}, "name none of order, orders, gains, all, any, grid, test"),
        ({"rows": {"order": [{}, {}]}}, "'order' do not fit the rule 'superiority'"),
        ({"rows": {"gains": []}}, "'gains' do not fit"),
        ({"rows": {"order": [{}]}, "rule": "order"}, "an order of 1"),
        ({"rows": {"orders": [[{}, {}], [{}, {}]]}}, "'orders' do not fit the rule 'superiority'"),
        ({"rows": {"orders": [[{}, {}]]}, "rule": "order"}, "'orders' of 1.*use 'order' for one"),
        ({"rows": {"orders": [[{}, {}], [{}]]}, "rule": "order"}, "an order of 1"),
        ({"rows": {"orders": [{"a": 1, "b": 2}] * 2}, "rule": "order"}, "has {'a': 1.*give a list"),
        ({"rows": {"orders": [], "order": []}, "rule": "order"}, "'order' have no 'orders'"),
        ({"rows": {"test": {}, "contrl": []}}, "have no 'contrl'.*Did you mean 'control'"),
        ({"rows": {"test": {}, "control": {"arm": "a"}}}, "control is {'arm': 'a'}"),
        ({"rows": {"all": [{"test": {}}, {"tst": {}}]}}, "has no 'tst'.*Did you mean 'test'"),
        ({"rows": {"any": [{"test": {}}, {"control": []}]}}, "has no 'test'"),
        ({"rows": {"any": [{"test": {}}]}}, "'any' of 1"),
        ({"rows": {"any": [{"test": {}}] * 2, "margin": 2}}, "'any' have no 'margin'"),
        ({"rows": {"any": [{"test": {}}] * 2}, "rule": "order"}, "'any' do not fit"),
        (
            {"rows": {"all": [{"test": {}, "control": [{}], "against": 1}, {"test": {}}]}},
            "not both",
        ),
        ({"rows": {"grid": {"arm": ["a", "b"]}}}, "name two keys"),
        ({"rows": {"grid": {"arm": ["a", "b"], "pair": ["c", "c"]}}}, "2 or more different"),
        (
            {"rows": {"grid": {"arm": ["a", "b"], "pair": ["c", "d"]}}, "direction": "less"},
            "direction is 'less'",
        ),
        (
            {"rows": {"grid": {"arm": ["a", "b"], "pair": ["c", "d"]}}, "rule": "ratio"},
            "'grid' do not fit",
        ),
        ({"rows": {"test": {}, "versus": "each"}}, "versus is 'each'"),
        ({"rows": {"test": {}, "control": [{}], "versus": "all"}}, "versus is 'all'"),
        ({"rows": {"test": {}, "control": [{}], "against": 1}}, "not both"),
        ({"paper": "nowhere"}, "paper is 'nowhere'"),
    ],
)
def test_a_wrong_entry_names_itself(change, message):
    with pytest.raises(ConfigError, match=f"claim S1.*{message}"):
        claim(**change)


def test_a_missing_field_and_an_unknown_decider_are_named(monkeypatch):
    with pytest.raises(ConfigError, match="'metric' is missing"):
        _claim({key: value for key, value in entry().items() if key != "metric"})
    real = module._claim
    monkeypatch.setattr(module, "_claim", lambda e: replace(real(e), decided_by=("X1",)))
    with pytest.raises(ConfigError, match="X1, which is no claim"):
        load_claims()
