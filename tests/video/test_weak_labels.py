"""Weak labels of any data set: shares, nesting, sealing, and settings that cannot be."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from redistill.errors import CatalogError, ConfigError
from redistill.video.splits import Catalog, Clip, Fold
from redistill.video.synthetic import SyntheticSpec, plan
from redistill.video.synthetic.weak import partner, sources
from redistill.video.weak_labels import MODES, WeakLabels, majority, weaken

CLASSES, PEOPLE = 4, 10
CLIPS = [  # every person does every class four times, as in the real sets
    Clip(f"p{p}_c{c}_{n}", Path("x"), c, f"p{p}")
    for p in range(PEOPLE)
    for c in range(CLASSES)
    for n in range(4)
]
LABELS = np.array([clip.label for clip in CLIPS])
SPEC = SyntheticSpec(world="crossed", per_class=(40, 1, 1), inexact=True)
PLANNED = [c for c in plan(SPEC) if c.split == "train"]
SYNTHETIC = [Clip(c.clip, Path("x"), c.label, c.group) for c in PLANNED]
TRUTH = np.array([c.label for c in PLANNED])


def weak(clips=CLIPS, classes=CLASSES, mode="few", seed=0, **options) -> WeakLabels:
    return weaken(clips, classes=classes, mode=mode, seed=seed, **options)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_a_label_or_none_and_the_truth_where_trusted(mode):
    found = weak(SYNTHETIC, 24, mode, spec=SPEC)
    assert found.initial.dtype == np.int64
    assert found.trusted.dtype == bool
    assert found.mode == mode
    assert found.initial.min() >= -1
    assert found.initial.max() < 24
    assert (found.initial[found.trusted] == TRUTH[found.trusted]).all()
    share = {"few": 4, "full": 40}.get(mode, 2)
    assert Counter(TRUTH[found.trusted].tolist()) == dict.fromkeys(range(24), share)
    again = weak(SYNTHETIC, 24, mode, spec=SPEC)
    assert (found.initial == again.initial).all()


def test_few_trusts_a_nested_share_of_each_class_from_whole_groups():
    before = np.zeros(len(CLIPS), bool)
    for fraction in (0.05, 0.1, 0.2, 0.5, 1):
        found = weak(label_frac=fraction)
        assert Counter(LABELS[found.trusted].tolist()) == dict.fromkeys(range(4), 40 * fraction)
        groups = {CLIPS[i].group for i in np.flatnonzero(found.trusted)}
        assert len(groups) == np.ceil(PEOPLE * fraction)
        assert (found.trusted >= before).all()
        assert ((found.initial >= 0) == found.trusted).all()
        before = found.trusted
    halves = [weak(seed=seed, label_frac=0.5).trusted for seed in (0, 1)]
    assert (halves[0] != halves[1]).any()
    assert Counter(LABELS[weak(label_frac=0.001).trusted].tolist()) == dict.fromkeys(range(4), 1)


def test_the_order_of_the_clips_plays_no_part():
    turned = np.random.default_rng(0).permutation(len(CLIPS))
    for mode in ("few", "noisy", "sources"):
        a, b = weak(mode=mode), weak([CLIPS[i] for i in turned], mode=mode)
        assert (a.initial[turned] == b.initial).all()
        assert (a.trusted[turned] == b.trusted).all()


def test_noise_hits_its_share_of_what_is_not_trusted_and_nests_in_the_rate():
    before = np.zeros(len(CLIPS), bool)
    for rate in (0, 0.2, 0.4, 0.6):
        found = weak(mode="noisy", noise_rate=rate)
        wrong = found.initial != LABELS
        assert wrong.sum() == round(rate * (~found.trusted).sum())
        assert (wrong >= before).all()
        before = wrong
    assert len(set(((found.initial - LABELS)[wrong] % 4).tolist())) == 3


def test_confusable_noise_is_a_pair_flip_or_what_the_world_confuses():
    flipped = weak(mode="noisy", noise_kind="confusable").initial
    wrong = flipped != LABELS
    assert (flipped[wrong] == (LABELS[wrong] + 1) % 4).all()
    assert wrong.sum() == round(0.4 * 152)

    found = weak(SYNTHETIC, 24, "noisy", noise_rate=0.2, noise_kind="confusable", spec=SPEC)
    wrong = found.initial != TRUTH
    pairs = [partner(SPEC, label) for label in TRUTH[wrong].tolist()]
    assert found.initial[wrong].tolist() == pairs
    pan = np.array([c.pan_x != 0 or c.pan_y != 0 for c in PLANNED])
    assert wrong[pan].mean() > 1.5 * wrong[~pan].mean()


def test_labels_that_a_sham_control_has_permuted_stay_the_truth():
    sham = [Clip(c.id, c.path, (c.label + 5) % 24, c.group) for c in SYNTHETIC]
    found = weak(sham, 24, "noisy", noise_rate=0.2, noise_kind="confusable", spec=SPEC)
    carried = np.array([clip.label for clip in sham])
    assert (found.truth.open("test") == carried).all()
    assert (found.initial != carried).sum() == round(0.2 * (~found.trusted).sum())


def by_loop(row, classes):
    counts = [sum(vote == label for vote in row) for label in range(classes)]
    best = [label for label in range(classes) if counts[label] == max(counts)]
    return best[0] if len(best) == 1 else -1


def test_the_majority_is_that_of_a_slow_count_and_ties_are_no_label():
    votes = np.random.default_rng(0).integers(-1, 3, (400, 3))
    assert majority(votes, 3).tolist() == [by_loop(row, 3) for row in votes.tolist()]
    by_hand = [[0, 1, -1], [2, -1, -1], [-1, -1, -1], [1, 1, 0], [0, 1, 2]]
    assert majority(np.array(by_hand), 3).tolist() == [-1, 2, -1, 1, -1]


def test_sources_of_a_synthetic_set_are_its_own_voted_on():
    rows = [{"clip": c.clip, "label": c.label} for c in PLANNED]
    votes = sources(SPEC, rows, seed=0).votes
    found = weak(SYNTHETIC, 24, "sources", spec=SPEC)
    rest = ~found.trusted
    assert (found.initial == majority(votes, 24))[rest].all()
    assert 0.1 < (found.initial[rest] < 0).mean() < 0.5


def test_simulated_sources_have_their_accuracy_coverage_and_lookalikes():
    many = [Clip(str(n), Path("x"), n % 6, "g") for n in range(6000)]
    one = weak(many, 6, "sources", accuracy=(0.7,), coverage=(0.6,))
    rest, truth = ~one.trusted, np.arange(6000) % 6
    voted = rest & (one.initial >= 0)
    assert voted.sum() / rest.sum() == pytest.approx(0.6, abs=0.03)
    assert (one.initial == truth)[voted].mean() == pytest.approx(0.7, abs=0.03)
    wrong = voted & (one.initial != truth)
    for label in range(6):
        assert len(set(one.initial[wrong & (truth == label)].tolist())) == 2


def test_the_errors_of_the_sources_fall_on_the_same_clips():
    many = [Clip(str(n), Path("x"), n % 2, "g") for n in range(6000)]
    found = weak(many, 2, "sources", accuracy=(0.7,) * 3, coverage=(1.0,) * 3)
    right = (found.initial == np.arange(6000) % 2)[~found.trusted].mean()
    # Each errs by the common difficulty with probability 1/2: where none or one of three does,
    # the majority is right as of three independent ones; where two or three do, as of one.
    independent = 0.7**3 + 3 * 0.7**2 * 0.3
    assert right == pytest.approx(0.5 * independent + 0.5 * 0.7, abs=0.015)


def test_inexact_labels_are_all_their_clips_and_only_a_share_is_trusted():
    found = weak(SYNTHETIC, 24, "inexact", spec=SPEC, trusted_share=0.1)
    assert (found.initial == TRUTH).all()
    assert found.trusted.sum() == 24 * 4
    assert {c.active_gops for c in PLANNED} - {"1111"}  # what is weak: where the action shows
    with pytest.raises(ConfigError, match=r"inexact = True"):
        weak(mode="inexact")
    with pytest.raises(ConfigError, match=r"inexact = True"):
        weak(SYNTHETIC, 24, "inexact", spec=SyntheticSpec(world="crossed"))


def arrays_in(thing, seen):
    """All arrays that can be reached through attributes and containers."""
    if id(thing) in seen or isinstance(thing, type | str):
        return []
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return [thing]
    inner = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    inner += list(thing) if isinstance(thing, list | tuple | set) else []
    return [a for one in inner for a in arrays_in(one, seen)]


def test_the_truth_is_reached_by_open_alone_and_reads_are_counted():
    found = weak()
    reached = arrays_in(found, set())
    assert len(reached) == 2  # initial and trusted
    assert not any(np.array_equal(a, LABELS) for a in reached)
    assert "sealed labels, read 0 times" in repr(found)
    with pytest.raises(CatalogError, match="cannot be copied"):
        pickle.dumps(found)
    assert found.truth.open("accuracy of the labels").tolist() == LABELS.tolist()
    assert (found.truth.reads, found.truth.reasons) == (1, ["accuracy of the labels"])
    # Writing to what was handed out changes neither the truth nor the clips.
    full = weak(mode="full")
    full.initial[:] = 0
    assert full.truth.open("again").tolist() == LABELS.tolist()


def test_no_group_of_validation_or_test_is_trusted():
    ids = [c.id for c in CLIPS]
    folds = (Fold("0", tuple(i for i in ids if i[1] != "9"), tuple(i for i in ids if i[1] == "9")),)
    split = Catalog("x", tuple("abcd"), tuple(CLIPS), folds, "").split(seed=3)
    found = weak(split.train, label_frac=0.5)
    known = {split.train[i].group for i in np.flatnonzero(found.trusted)}
    val, test = ({c.group for c in part} for part in (split.val, split.test.clips))
    assert known
    assert val
    assert not known & (val | test)
    assert not val & test
    with pytest.raises(ConfigError, match=r"label -1.*hand on the training clips"):
        weak(split.test.clips)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "noise"}, "mode 'noise'.*few, noisy.*Did you mean 'noisy'"),
        ({"label_frac": 0}, "label_frac = 0: must be above 0 and at most 1"),
        ({"mode": "noisy", "trusted_share": 1.5}, "trusted_share = 1.5"),
        ({"mode": "noisy", "noise_rate": 1.0}, "noise_rate = 1.0: must be at least 0 and below"),
        ({"mode": "noisy", "noise_kind": "pair"}, "noise_kind 'pair': choose from symmetric, conf"),
        ({"mode": "sources", "coverage": (0.0,) * 3}, r"class 0, 1, 2, 3 \(seed 0\); raise the"),
        ({"mode": "sources", "coverage": (0.5, 1.2, 0.5)}, "coverage of a source = 1.2"),
        ({"mode": "sources", "accuracy": (-0.1, 1, 1)}, "accuracy of a source = -0.1"),
        ({"mode": "sources", "accuracy": (0.7,)}, "one number of each for every source"),
        ({"classes": 5}, "class 4 has no training clips, so none can be trusted"),
        ({"classes": 3}, "label 3, of 3 classes"),
        ({"classes": 1}, "at least 2 classes"),
        ({"spec": SPEC}, "classes = 4, but the synthetic spec given has 24"),
    ],
)
def test_settings_that_cannot_be_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        weak(**options)


def test_clips_of_another_set_than_the_spec_are_named():
    strange = [Clip(f"own-{n}", Path("x"), n % 24, "g") for n in range(480)]
    with pytest.raises(ConfigError, match=r"clip own-.*is not of the synthetic set"):
        weak(strange, 24, "noisy", noise_kind="confusable", spec=SPEC)


def test_all_trusted_leaves_nothing_to_weaken():
    for mode in ("noisy", "sources"):
        assert (weak(mode=mode, trusted_share=1.0).initial == LABELS).all()
