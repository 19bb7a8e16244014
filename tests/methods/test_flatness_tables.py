"""Tables of notebook 4 on made-up solutions, against values worked out by hand."""

import math

import pandas as pd
import pytest
import torch
from scipy.stats import kendalltau

from redistill import flatness_tables as tables
from redistill.curvature.loss import Loss
from redistill.methods.equal_loss import Between
from redistill.methods.flatness_study import Flatness
from redistill.methods.solutions import Solution
from redistill.sharpness import Eigenvalue, Sharpness
from redistill.stats import Interval

LOSS = Loss(net=torch.nn.Linear(1, 2).eval(), batches=[(torch.zeros(2, 1), torch.tensor([0, 1]))])
LABELS = torch.tensor([0, 1, 1, 0])
MODALITIES = ("iframe", "mv", "residual")


def solution(modality, network="same", arm="ce", exit_=4, *, share=1.0, train=(0.5, 0.75), test=2):
    """``test`` of the four test clips are right; logits of two classes, 1 apart."""
    said = [label if i < test else 1 - label for i, label in enumerate(LABELS.tolist())]
    return Solution(
        modality=modality, network=network, arm=arm, exit=exit_, share=share, loss=LOSS,
        train=train, test=torch.eye(2)[said],
    )  # fmt: skip


def test_loss(right):
    """Of logits 1 apart: log(1 + 1/e) where right, 1 more where wrong."""
    return math.log(1 + math.exp(-1)) + (4 - right) / 4


test_loss.__test__ = False


def around(mean, half=0.5):
    return Interval(mean, mean - half, mean + half, 8, 0.1, 0.95)


def sharp(trace, *, top=(8.0, 2.0), relative=0.4, stages=None):
    return Sharpness(
        weights=50, loss=0.1, top=tuple(Eigenvalue(x, 0.25, 0.5) for x in top),
        trace=around(trace), needed=77, relative=around(relative, 0.125),
        relative_top=Eigenvalue(0.3, 0.01, 0.02) if stages else None, stages=stages or {},
        certified=True, products=65,
    )  # fmt: skip


def fold(known, equal=()):
    """``known``: solution to sharpness; ends are those of share 1 that are whole trainings."""
    return Flatness(
        fold=0, ends=tuple(one for one, _ in known if one.share == 1), equal=tuple(equal),
        sharp={(one.place, one.share): each for one, each in known}, labels=LABELS, reads=1,
    )  # fmt: skip


def at_end(one):
    return Between(low=one, high=one, level=one.train[0])


# One line a solution.


def test_a_line_of_a_whole_training():
    one = solution("mv", train=(0.5, 0.75), test=3)
    each = sharp(100.0, stages={"conv1": around(60.0), "fc": around(40.0)})
    (row,) = tables.ends(fold([(one, each)])).to_dict("records")
    assert row == {
        "modality": "mv", "network": "same", "arm": "ce", "exit": 4, "weights": 50,
        "train_loss": 0.5, "train_accuracy": 0.75,
        "test_loss": pytest.approx(test_loss(3), rel=1e-6), "test_accuracy": 0.75,
        "gap": pytest.approx(test_loss(3) - 0.5, rel=1e-6),
        "trace": 100.0, "trace_low": 99.5, "trace_high": 100.5,
        "top": 8.0, "top_low": 7.75, "top_high": 8.25,
        "relative": 0.4, "relative_low": 0.275, "relative_high": 0.525,
        "per_weight": 2.0, "relative_top": 0.3, "certified": True, "needed": 77, "products": 65,
    }  # fmt: skip


def test_what_was_not_measured_is_missing():
    (row,) = tables.ends(fold([(solution("mv", "ic", "pkd", 2), sharp(1.0))])).to_dict("records")
    assert math.isnan(row["relative_top"])
    assert (row["arm"], row["exit"]) == ("pkd", 2)


def laddered(low_trace=1000.0, high_trace=10.0):
    """Between losses 0.8 and 0.4 at 0.5: three quarters of the way."""
    low = solution("mv", share=0.5, train=(0.8, 0.25), test=1)
    high = solution("mv", train=(0.4, 0.5), test=3)
    known = [(low, sharp(low_trace, top=(4.0,))), (high, sharp(high_trace, top=(64.0,)))]
    return fold(known, [Between(low=low, high=high, level=0.5)])


def test_a_line_at_equal_loss_is_read_between_two_trainings():
    (row,) = tables.equal(laddered()).to_dict("records")
    loss = 0.25 * test_loss(1) + 0.75 * test_loss(3)
    assert row == {
        "modality": "mv", "network": "same", "arm": "ce", "exit": 4, "low": 0.5, "high": 1.0,
        "train_loss": pytest.approx(0.5), "train_accuracy": pytest.approx(0.25 + 0.75 * 0.25),
        "test_loss": pytest.approx(loss, rel=1e-6),
        "test_accuracy": pytest.approx(0.25 + 0.75 * 0.5),
        "gap": pytest.approx(loss - 0.5, rel=1e-6),
        "log_trace": pytest.approx(0.25 * 3 + 0.75 * 1),
        "log_top": pytest.approx((0.25 * 2 + 0.75 * 6) * math.log10(2)),
        "log_relative": pytest.approx(math.log10(0.4)),
    }  # fmt: skip


@pytest.mark.parametrize(("low", "high"), [(1000.0, -1.0), (0.0, 10.0)])
def test_a_trace_that_is_not_positive_has_no_logarithm(low, high):
    found = laddered(low, high)
    (row,) = tables.equal(found).to_dict("records")
    assert math.isnan(row["log_trace"])
    assert math.isfinite(row["log_top"])
    long = tables.long(found).set_index(["at", "measure"])["value"]
    assert math.isnan(long["equal", "trace"])
    assert math.isnan(long["end", "trace"]) == (high < 0)


def test_log10():
    assert tables.log10(1000.0) == pytest.approx(3)
    assert math.isnan(tables.log10(0.0))
    assert math.isnan(tables.log10(-2.0))


def test_long_has_every_measure_at_the_end_and_at_equal_loss():
    net, ic = solution("mv"), solution("mv", "ic", "pkd", 2, train=(0.25, 1.0))
    known = [(net, sharp(100.0)), (ic, sharp(10.0, top=(2.0,), relative=0.1))]
    table = tables.long(fold(known, [at_end(ic)]))
    assert table["network"].unique().tolist() == ["same"]
    assert len(table) == 3  # the network was brought nowhere
    table = tables.long(fold(known, [at_end(net), at_end(ic)]), network="ic")
    assert list(table.columns) == [
        "modality", "network", "arm", "exit", "train_loss", "at", "measure", "value",
    ]  # fmt: skip
    values = {(row.at, row.measure): row.value for row in table.itertuples()}
    logs = {"trace": 1.0, "top": math.log10(2), "relative": -1.0}
    assert values == {(at, m): pytest.approx(x) for at in ("end", "equal") for m, x in logs.items()}
    assert set(table["train_loss"]) == {0.25}
    assert set(table["arm"]) == {"pkd"}


# Classifiers.


def school(traces, equal=()):
    """``traces``: (modality, arm, exit) to the trace; ``equal``: which were brought to a loss."""
    ones = {key: solution(key[0], "ic", key[1], key[2]) for key in traces}
    known = [(one, sharp(traces[key])) for key, one in ones.items()]
    return fold(known, [at_end(ones[key]) for key in equal])


def mean_of(table, at, arm, measure="trace"):
    rows = table[(table["at"] == at) & (table["arm"] == arm) & (table["measure"] == measure)]
    return None if rows.empty else (rows["value"].item(), rows["count"].item())


def test_classifiers_are_averaged_over_places_that_all_arms_have():
    """Where one arm is missing, or its trace negative, none of the arms is counted."""
    traces = {
        ("mv", "ce", 1): 10.0, ("mv", "pkd", 1): 100.0,
        ("mv", "ce", 2): 1000.0, ("mv", "pkd", 2): 10.0,
        ("iframe", "ce", 1): 1e6, ("iframe", "pkd", 1): -5.0,
    }  # fmt: skip
    reached = [key for key in traces if key != ("mv", "pkd", 2)]
    table = tables.classifiers(school(traces, reached))
    assert mean_of(table, "end", "ce") == (pytest.approx((1 + 3) / 2), 2)
    assert mean_of(table, "end", "pkd") == (pytest.approx((2 + 1) / 2), 2)
    assert mean_of(table, "equal", "ce") == (pytest.approx(1), 1)
    assert mean_of(table, "equal", "pkd") == (pytest.approx(2), 1)
    assert mean_of(table, "end", "pkd", "top") == (pytest.approx(math.log10(8)), 3)
    assert mean_of(table, "equal", "ce", "top") == (pytest.approx(math.log10(8)), 2)


def test_an_arm_that_reaches_no_loss_leaves_nothing_to_compare():
    traces = {("mv", "ce", 1): 10.0, ("mv", "pkd", 1): 100.0}
    table = tables.classifiers(school(traces, [("mv", "ce", 1)]))
    assert mean_of(table, "end", "ce") == (pytest.approx(1), 1)
    assert mean_of(table, "equal", "ce") is None


def test_arms_that_no_claim_compares_may_miss_the_equal_loss_but_not_the_end():
    traces = {
        ("mv", "ce", 1): 10.0, ("mv", "pkd", 1): 100.0, ("mv", "summary", 1): 1e4,
        ("mv", "ce", 2): 10.0, ("mv", "pkd", 2): 100.0, ("mv", "summary", 2): -1.0,
    }  # fmt: skip
    table = tables.classifiers(school(traces, [key for key in traces if key[1] != "summary"]))
    for arm, log in (("ce", 1), ("pkd", 2)):
        assert mean_of(table, "equal", arm) == (pytest.approx(log), 2)
        assert mean_of(table, "end", arm) == (pytest.approx(log), 1)
    assert mean_of(table, "end", "summary") == (pytest.approx(4), 1)
    table = tables.classifiers(school(traces, traces))
    assert mean_of(table, "equal", "summary") is None  # may not have been brought there


# Eigenvalues and stages.


def test_eigenvalues_and_stages_are_of_the_networks_asked_for():
    same, own = solution("mv"), solution("mv", "own")
    found = fold([
        (same, sharp(9.0, stages={"conv1": around(5.0), "fc": around(4.0)})),
        (own, sharp(9.0, top=(7.0,), stages={"fc": around(6.0, 1.0)})),
    ])  # fmt: skip
    assert tables.eigenvalues(found).to_dict("records") == [
        {"modality": "mv", "rank": 1, "value": 8.0, "error": 0.25, "residual": 0.5},
        {"modality": "mv", "rank": 2, "value": 2.0, "error": 0.25, "residual": 0.5},
    ]
    assert tables.eigenvalues(found, network="own")["value"].tolist() == [7.0]
    assert tables.stages(found).to_dict("records") == [
        {"modality": "mv", "stage": "conv1", "trace": 5.0, "low": 4.5, "high": 5.5},
        {"modality": "mv", "stage": "fc", "trace": 4.0, "low": 3.5, "high": 4.5},
    ]
    assert tables.stages(found, network="own")["trace"].tolist() == [6.0]


# Flatness and the gap.


def level(rows):
    """Rows of (modality, network, exit, log_trace, gap)."""
    return pd.DataFrame(rows, columns=["modality", "network", "exit", "log_trace", "gap"])


def test_tau_of_one_stratum_is_kendalls():
    gaps, traces = (0.3, 0.1, 0.9), (1.0, 2.0, 3.0)
    rows = [(m, "same", 4, t, g) for m, t, g in zip(MODALITIES, traces, gaps, strict=True)]
    wanted = kendalltau([-t for t in traces], gaps).statistic
    assert tables.gap_tau(level(rows)) == pytest.approx(wanted) == pytest.approx(-1 / 3)


def test_tau_compares_nothing_of_different_losses():
    """In each classifier the flatter arm has the smaller gap; between classifiers the larger."""
    rows = []
    for number, (modality, exit_) in enumerate((("mv", 1), ("mv", 2), ("iframe", 1))):
        rows += [(modality, "ic", exit_, 5.0 - number + d, 10 * number + d) for d in (0, 0.1)]
    assert tables.gap_tau(level(rows)) == -1
    mixed = kendalltau([-row[3] for row in rows], [row[4] for row in rows]).statistic
    assert mixed > 0
    turned = [(m, n, e, -t, g) for m, n, e, t, g in rows]
    assert tables.gap_tau(level(turned)) == 1


def test_networks_of_one_depth_are_one_stratum_and_classifiers_another():
    nets = [("mv", "same", 4, 1.0, 0.1), ("iframe", "same", 4, 2.0, 0.2)]
    alone = [("mv", "ic", 4, 9.0, 0.0)]  # nothing to be compared with
    assert tables.gap_tau(level(nets + alone)) == -1


def test_tau_of_nothing_that_can_be_compared_is_none():
    rows = [("mv", "ic", 1, 1.0, 0.1), ("mv", "ic", 2, 2.0, 0.2)]
    assert tables.gap_tau(level(rows)) is None
    rows = [("mv", "same", 4, 1.0, 0.1), ("iframe", "same", 4, math.nan, 0.2)]
    assert tables.gap_tau(level(rows)) is None
    kept = [*rows, ("residual", "same", 4, 2.0, 0.0)]  # what has no trace drops out
    assert tables.gap_tau(level(kept)) == 1


# The order of teachers.


def taught(iframe, mv, arms=("pkd_iframe", "summary")):
    """``pkd_iframe`` is right in 3 and 4 of 4 clips, the others in 1 and 2: half of them more."""
    known = [(solution(m), sharp(t)) for m, t in (("iframe", iframe), ("mv", mv))]
    known += [(solution("residual"), sharp(50.0)), (solution("iframe", "own"), sharp(1e-3))]
    for arm in arms:
        for exit_, right in ((1, 1), (2, 2)):
            right += 2 * (arm == "pkd_iframe")
            known.append((solution("mv", "ic", arm, exit_, test=right), sharp(1.0)))
    return fold(known)


def test_the_order_that_ends_with_the_flatter_one_gains():
    assert tables.order_gain(taught(iframe=2.0, mv=5.0)) == pytest.approx(50)
    assert tables.order_gain(taught(iframe=5.0, mv=2.0)) == pytest.approx(-50)


@pytest.mark.parametrize(
    "found",
    [
        taught(2.0, 5.0, arms=("pkd_iframe", "ce")),
        taught(2.0, 5.0, arms=("summary",)),
        taught(-2.0, 5.0),
        taught(2.0, 0.0),
    ],
)
def test_without_both_orders_or_both_traces_nothing_is_gained(found):
    assert tables.order_gain(found) is None


def test_rounded_cuts_numbers_and_nothing_else():
    table = pd.DataFrame({"a": [1.23456, -0.000123456], "b": ["x", "y"], "c": [123456, 7]})
    assert tables.rounded(table).to_dict("list") == {
        "a": [1.235, -0.0001235], "b": ["x", "y"], "c": [123456, 7],
    }  # fmt: skip
    assert tables.rounded(table, 2)["a"].tolist() == [1.2, -0.00012]
