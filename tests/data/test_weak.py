from collections import Counter

import numpy as np
import pytest

from redistill.errors import CatalogError
from redistill.video.synthetic import SyntheticSpec, plan
from redistill.video.synthetic.weak import (
    ABSTAIN,
    few,
    inexact,
    labels_of,
    noisy,
    partner,
    permuted,
    sources,
)


def rows_of(world: str):
    spec = SyntheticSpec(world=world, per_class=(40, 1, 1))
    clips = [c for c in plan(spec) if c.split == "train"]
    return spec, [{k: str(v) for k, v in c.row().items()} for c in clips]


SPEC, ROWS = rows_of("crossed")
LABELS = labels_of(ROWS)


def test_few_keeps_a_share_of_each_class_in_few_groups():
    before = np.zeros(len(ROWS), bool)
    for fraction in (0.05, 0.1, 0.2, 0.5, 1):
        kept = few(ROWS, fraction=fraction, seed=1)
        assert set(Counter(LABELS[kept]).values()) == {round(40 * fraction)}
        groups = {ROWS[i]["group"] for i in np.flatnonzero(kept)}
        assert len(groups) == 24 * int(np.ceil(4 * fraction))
        assert (kept >= before).all()
        before = kept
    assert (few(ROWS, fraction=0.5, seed=2) != few(ROWS, fraction=0.5, seed=1)).any()
    with pytest.raises(CatalogError, match="fraction"):
        few(ROWS, fraction=0, seed=0)


@pytest.mark.parametrize("kind", ["symmetric", "confusable"])
@pytest.mark.parametrize("rate", [0, 0.2, 0.6])
def test_noisy_labels_are_wrong_at_their_rate(kind, rate):
    labels = noisy(SPEC, ROWS, rate=rate, kind=kind, seed=0)
    wrong = labels != LABELS
    assert wrong.sum() == round(rate * len(ROWS))
    assert labels.min() >= 0
    assert labels.max() < 24
    if kind == "confusable":
        assert (labels[wrong] // 4 == LABELS[wrong] // 4).all()
    elif rate:
        assert len(set((labels - LABELS)[wrong] % 24)) == 23


def test_confusable_errors_prefer_pan_and_a_misleading_distractor():
    wrong = noisy(SPEC, ROWS, rate=0.2, kind="confusable", seed=0) != LABELS
    pan = np.array([r["pan_x"] != "0" or r["pan_y"] != "0" for r in ROWS])
    same = np.array([r["distractor1_motion"] == r["target_motion"] for r in ROWS])
    assert wrong[pan].mean() > 1.5 * wrong[~pan].mean()
    assert wrong[~same].mean() > 1.5 * wrong[same].mean()


@pytest.mark.parametrize("world", ["scene_led", "crossed", "motion_led"])
def test_partners_share_the_appearance(world):
    spec = SyntheticSpec(world=world)
    for label, name in enumerate(spec.classes):
        other = partner(spec, label)
        assert partner(spec, other) == label != other
        if world != "motion_led":
            assert name.split("_")[:2] == spec.classes[other].split("_")[:2]


def test_sources_have_their_accuracy_and_coverage_and_err_together():
    found = sources(SPEC, ROWS, seed=0)
    voted = found.votes != ABSTAIN
    right = found.votes == LABELS[:, None]
    np.testing.assert_allclose(voted.mean(0), found.coverage, atol=0.05)
    np.testing.assert_allclose(right.sum(0) / voted.sum(0), found.accuracy, atol=0.05)
    both = voted[:, 0] & voted[:, 2]
    together = np.corrcoef(~right[both, 0], ~right[both, 2])[0, 1]
    apart = sources(SPEC, ROWS, seed=0, correlation=0.0)
    both0 = (apart.votes[:, [0, 2]] != ABSTAIN).all(1)
    alone = np.corrcoef(*(apart.votes[both0][:, [0, 2]] != LABELS[both0, None]).T)[0, 1]
    assert together > 0.12
    assert abs(alone) < 0.1


def test_inexact_and_permuted_labels():
    assert inexact(ROWS).shape == (len(ROWS), 4)
    assert (inexact(ROWS) == LABELS[:, None]).all()
    mixed = permuted(ROWS, seed=0)
    assert Counter(mixed) == Counter(LABELS)
    assert (mixed == LABELS).mean() < 0.1
