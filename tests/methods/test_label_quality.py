"""Labels before refinement, and their quality against cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from redistill.errors import ConfigError
from redistill.methods.label_quality import (
    LabelQuality,
    SoftLabels,
    calibration_error,
    initial_labels,
    label_quality,
    label_table,
    raw_labels,
)
from redistill.methods.refine import Refinement, refine
from redistill.video.sealed import SealedLabels
from redistill.video.weak_labels import WeakLabels

TRUTH = np.array([0, 1, 2, 0, 1, 2])
INITIAL = np.array([0, -1, 1, 0, -1, 2])
TRUSTED = np.array([True, False, False, False, False, True])
WEAK = WeakLabels(INITIAL, TRUSTED, SealedLabels(TRUTH), "sources")
VIEW = torch.tensor(
    [
        [0.2, 0.5, 0.3],
        [0.1, 0.8, 0.1],
        [0.1, 0.2, 0.7],
        [0.6, 0.2, 0.2],
        [0.4, 0.3, 0.3],
        [0.3, 0.3, 0.4],
    ]
)


def labels_of(q, selected=None, round=1) -> SoftLabels:
    q = torch.tensor(q)
    chosen = torch.ones(len(q), dtype=torch.bool) if selected is None else torch.tensor(selected)
    return SoftLabels(q, torch.ones(len(q)), chosen, torch.zeros(len(q)), round)


def judge(labels, truth, trusted=None) -> LabelQuality:
    trusted = np.zeros(len(truth), bool) if trusted is None else trusted
    return label_quality(labels, np.array(truth), trusted=trusted)


def test_initial_labels_are_those_given_or_nothing():
    found = initial_labels(WEAK, 3)
    third = [1 / 3] * 3
    wanted = [[1, 0, 0], third, [0, 1, 0], [1, 0, 0], third, [0, 0, 1]]
    torch.testing.assert_close(found.q, torch.tensor(wanted))
    assert found.w.tolist() == [1, 0, 1, 1, 0, 1]
    assert found.selected.tolist() == [True, False, True, True, False, True]
    assert found.uncertainty.tolist() == [0, 1, 0, 0, 1, 0]
    assert found.round == 0
    assert found.q.dtype == found.w.dtype == torch.float32


def test_raw_labels_fill_in_the_hard_prediction_of_one_view():
    found = raw_labels(WEAK, VIEW)
    assert found.q.argmax(1).tolist() == [0, 1, 1, 0, 0, 2]  # the given ones stay
    assert found.q.max(1).values.tolist() == [1] * 6
    assert found.w.tolist() == [1] * 6
    assert found.selected.all()
    with pytest.raises(ConfigError, match="give the softmax"):
        raw_labels(WEAK, VIEW.log())
    with pytest.raises(ConfigError, match="6 clips"):
        raw_labels(WEAK, VIEW[:5])


def test_a_label_beyond_the_classes_is_named():
    with pytest.raises(ConfigError, match="initial label 2 among 2 classes"):
        initial_labels(WEAK, 2)


def test_the_quality_of_four_labels_by_hand():
    q = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1], [0.0, 0.0, 1.0], [0.9, 0.1, 0.0]]
    labels = labels_of(q, selected=[True, False, True, False, True], round=2)
    found = judge(labels, [0, 1, 1, 0, 1], np.array([False] * 4 + [True]))
    assert (found.round, found.clips) == (2, 4)
    assert found.accuracy == 0.5
    assert found.selected_accuracy == 0.5
    assert found.coverage == 0.5
    # Four bins of one clip each: gaps .3, .4, .5 and 1.
    assert found.ece == pytest.approx((0.3 + 0.4 + 0.5 + 1.0) / 4, abs=1e-6)
    wanted = np.log([0.7, 0.6, 0.4, 1e-6]).mean()
    assert found.log_likelihood == pytest.approx(wanted, abs=1e-6)


def test_no_label_at_all_scores_chance():
    few = WeakLabels(np.full(6, -1), np.zeros(6, bool), SealedLabels(TRUTH), "few")
    found = judge(initial_labels(few, 3), TRUTH)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.log_likelihood == pytest.approx(np.log(1 / 3), abs=1e-6)
    assert found.ece == pytest.approx(0, abs=1e-6)
    assert found.coverage == 0
    assert np.isnan(found.selected_accuracy)
    half = labels_of([[0.5, 0.5, 0.0]] * 2)
    assert judge(half, [1, 2]).accuracy == 0.25


def by_loop(confidence, right, bins=15):
    total = 0.0
    for b in range(bins):
        last = b == bins - 1
        own = [
            i
            for i, c in enumerate(confidence)
            if b / bins <= c and (c < (b + 1) / bins or (last and c <= 1))
        ]
        if own:
            gap = np.mean([confidence[i] for i in own]) - np.mean([right[i] for i in own])
            total += len(own) / len(confidence) * abs(gap)
    return total


def test_the_calibration_error_is_that_of_a_slow_loop():
    draw = np.random.default_rng(0)
    confidence, right = draw.uniform(0.2, 1, 500), draw.random(500) < 0.6
    confidence[:3] = 1.0
    assert calibration_error(confidence, right) == pytest.approx(by_loop(confidence, right))
    # Calibrated by construction: 75 of 100 right at .75, and all right at 1.
    sure = np.repeat([0.75, 1.0], 100)
    hits = np.r_[np.arange(100) < 75, np.ones(100, bool)]
    assert calibration_error(sure, hits) == pytest.approx(0)
    assert calibration_error(sure, ~hits) == pytest.approx((0.5 + 1) / 2)


def test_renaming_the_classes_changes_no_number():
    q = torch.softmax(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)), 1)
    truth, turned = np.arange(50) % 5, [3, 0, 4, 1, 2]
    a = judge(labels_of(q.tolist()), truth)
    b = judge(labels_of(q[:, turned].tolist()), np.argsort(turned)[truth])
    assert a == b


def test_refinement_shows_in_the_table_of_its_rounds():
    """Views that are right where a third of the labels is wrong: initial against final."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 4, 300)
    initial = np.where(draw.random(300) < 1 / 3, (truth + 1) % 4, truth)
    weak = WeakLabels(initial, np.arange(300) < 20, SealedLabels(truth), "noisy")
    noise = torch.randn(3, 300, 4, generator=torch.Generator().manual_seed(0))
    logits = 4 * torch.eye(4)[truth] + noise
    rounds = [initial_labels(weak, 4)]
    for round in (1, 2):
        views = logits.softmax(2)
        rounds.append(refine(rounds[-1], weak, views, Refinement(), round=round))
    opened = weak.truth.open("claim S7")
    quality = [label_quality(labels, opened, trusted=weak.trusted) for labels in rounds]
    table = label_table(quality)
    assert isinstance(table, pd.DataFrame)
    assert table["round"].tolist() == [0, 1, 2]
    assert table["clips"].tolist() == [280] * 3
    assert table["accuracy"].is_monotonic_increasing
    assert table["accuracy"].iloc[-1] > table["accuracy"].iloc[0] + 0.1
    assert table["log_likelihood"].iloc[-1] > table["log_likelihood"].iloc[0]
    assert table["coverage"].tolist() == pytest.approx([1.0, 0.5, 0.65], abs=0.02)
    assert table.loc[0, "accuracy"] == (initial == truth)[20:].mean()
    assert weak.truth.reads == 1


def test_an_empty_table_has_its_columns():
    assert list(label_table([]).columns)[:3] == ["round", "clips", "accuracy"]


@pytest.mark.parametrize(
    ("truth", "trusted", "message"),
    [
        ([0, 1], [False] * 3, r"truth \(2,\) and trusted \(3,\) beside labels of 2"),
        ([0, 1], [True, True], "every clip is trusted"),
        ([0, 3], [False, False], "truth from 0 to 3 beside 3 classes"),
        ([-1, 0], [False, False], "truth from -1"),
    ],
)
def test_what_cannot_be_judged_is_named(truth, trusted, message):
    with pytest.raises(ConfigError, match=message):
        judge(labels_of([[1.0, 0, 0]] * 2), truth, np.array(trusted))
