"""Notebook 4 on one tiny fold: every solution, brought to one loss, on which clips, and sealed."""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from tiny_flatness import (
    ARMS,
    CLASSES,
    TEST,
    TRAIN,
    quicken,
    sample_of,
    shown,
    small_config,
    small_feeds,
    small_study,
    study_of,
    unmeasured_study,
)
from torch.nn import functional as F

from redistill.methods import flatness_study as module
from redistill.methods.solutions import score, spread
from redistill.methods.streams import train_stream
from redistill.modality import MODALITIES
from redistill.sharpness import kept
from redistill.video.splits import Clip

CONFIG = small_config()


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "flatness")  # found by later tests


@pytest.fixture
def ends():
    return {one.place: one for one in unmeasured_study().ends}


# Solutions.


def test_all_solutions_are_there_and_measured():
    study = small_study()
    ends = {one.place: one for one in study.ends}
    networks = set(product(MODALITIES, ("same", "own"), ("ce",), (4,)))
    classifiers = set(product(MODALITIES, ("ic",), ARMS, (1, 2, 3)))
    assert set(ends) == networks | classifiers
    assert len(study.ends) == len(ends)
    named = [*study.ends, *(x for place in study.equal for x in (place.low, place.high))]
    assert {(one.place, one.share) for one in named} == set(study.sharp)
    for one in study.ends:
        assert one.share == 1
        assert one.test.shape == (len(TEST), CLASSES)
        assert one.test.isfinite().all()
    in_full = {k for k, sharp in study.sharp.items() if sharp.stages}
    same = {key for key in study.sharp if key[0][1] == "same" and key[1] == 1}
    own = {key for key in study.sharp if key[0][1] == "own"}  # may be one of the same depth
    assert same <= in_full <= same | own
    for key, sharp in study.sharp.items():
        assert sharp.certified
        assert sharp.products > 0
        assert len(sharp.top) == (CONFIG.top if key in in_full else int(CONFIG.top_everywhere))
        assert (sharp.relative_top is not None) == (key in in_full and CONFIG.top_everywhere)


def test_networks_and_arms_are_brought_to_the_loss_of_the_worst():
    study = unmeasured_study()
    groups = defaultdict(list)
    for one in study.ends:
        if one.network != "own":
            groups[(one.modality, one.exit) if one.network == "ic" else "networks"].append(one)
    assert sorted(len(group) for group in groups.values()) == [len(ARMS)] * 9 + [3]
    found = {place.high.place: place for place in study.equal}
    assert len(found) == len(study.equal)
    between = 0
    for group in groups.values():
        last = max(group, key=lambda one: one.train[0])
        assert found[last.place].low is found[last.place].high is last
        for one in group:
            place = found.pop(one.place, None)
            if place is None:  # even its shortest training is below
                continue
            assert place.level == last.train[0]
            assert place.low.place == place.high.place == one.place
            assert place.low.train[0] >= place.level >= place.high.train[0]
            between += place.low is not place.high
    assert not found  # networks of other depths are brought nowhere
    assert between >= 3


def test_the_level_is_set_by_the_arms_that_are_compared(monkeypatch):
    """An arm of no claim may end above it, and is then left out."""
    monkeypatch.setattr(module, "_measured", lambda *about: {})
    others = ("summary", "kd_shuffled", "anticurriculum", "kd_mv", "kd_residual")
    study = study_of(replace(CONFIG, arms=(*ARMS, *others)))
    reached, above = {place.high.place: place for place in study.equal}, 0
    for modality, exit_ in product(MODALITIES, (1, 2, 3)):
        arms = {
            one.arm: one for one in study.ends
            if (one.modality, one.network, one.exit) == (modality, "ic", exit_)
        }  # fmt: skip
        level = max(arms[name].train[0] for name in ARMS)
        found = [reached[one.place] for one in arms.values() if one.place in reached]
        assert {place.level for place in found} == {level}
        too_high = [arms[name].place for name in others if arms[name].train[0] > level]
        assert not reached.keys() & set(too_high)
        above += len(too_high)
    assert above


def test_a_shorter_training_has_a_whole_schedule_of_its_own():
    """It is what a run of so many steps ends with, and not a moment of the longer one."""
    places = [
        p for p in unmeasured_study().equal if p.low is not p.high and p.low.network == "same"
    ]
    assert places
    for one in {id(x): x for place in places for x in (place.low, place.high)}.values():
        steps = round(one.share * CONFIG.steps)
        config = replace(CONFIG.networks, depth_iframe=CONFIG.same_depth, steps=steps)
        feeds = small_feeds(CONFIG)
        trained = train_stream(one.modality, config, feeds, classes=CLASSES, device="cpu")
        assert len(trained.journal) == steps
        assert alike(trained.net.state_dict(), one.loss.net.state_dict())


def alike(one, other):
    return one.keys() == other.keys() and all(torch.equal(x, other[n]) for n, x in one.items())


def test_own_and_same_networks_of_one_depth_are_one():
    """The I-frame network of notebook 3 is deeper; the two others have the depth compared."""
    study = small_study()
    ends = {one.place: one for one in study.ends}
    for modality in MODALITIES:
        same, own = (ends[modality, network, "ce", 4] for network in ("same", "own"))
        one = modality != "iframe"
        assert (same.loss.size == own.loss.size) == one
        assert (kept(same.loss) == kept(own.loss)) == one  # measured once
        assert (study.of(same) == study.of(own)) == one
        assert torch.equal(same.test, own.test) == one


@pytest.mark.parametrize("modality", MODALITIES)
def test_scores_are_those_of_the_clips(ends, modality):
    """Of networks and of classifiers, each on what its own network makes of the clips."""
    sample = sample_of(CONFIG)
    labels = [clip.label for clip in sample]
    trunk = ends[modality, "own", "ce", 4].loss.net
    for one in ends.values():
        if one.modality != modality:
            continue
        with torch.no_grad():
            inputs = [shown(clips, modality) for clips in (sample, TEST)]
            if one.network == "ic":
                inputs = [stages_of(trunk, x)[one.exit - 1] for x in inputs]
            known, asked = (one.loss.net(x) for x in inputs)
        torch.testing.assert_close(one.test, asked, rtol=1e-4, atol=1e-4)
        assert one.train == pytest.approx(by_hand(known, labels), rel=1e-4)


def stages_of(net, x):
    """What leaves the first three stages, (B, S, C, h, w) each, layer by layer."""
    inner, found = net.net, []
    h = inner.maxpool(inner.relu(inner.bn1(inner.conv1(net.data_bn(x.flatten(0, 1))))))
    for layer in (inner.layer1, inner.layer2, inner.layer3):
        h = layer(h)
        found.append(h.unflatten(0, x.shape[:2]))
    return found


def by_hand(logits, labels):
    rows = logits.double().numpy()
    losses = [np.log(np.exp(z).sum()) - z[y] for z, y in zip(rows, labels, strict=True)]
    right = [z.argmax() == y for z, y in zip(rows, labels, strict=True)]
    return np.mean(losses), np.mean(right)


def test_score_is_cross_entropy_and_the_share_that_is_right():
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    assert score(logits, labels) == pytest.approx(by_hand(logits, labels.tolist()), rel=1e-5)
    sure = 50 * F.one_hot(labels, 4).float()
    assert score(sure, labels) == (pytest.approx(0, abs=1e-6), 1)
    assert score(sure, (labels + 1) % 4) == (pytest.approx(50), 0)


def test_arms_go_by_their_names(monkeypatch, ends):
    """In another order each ends where it did, but for rounding."""
    monkeypatch.setattr(module, "_measured", lambda *about: {})
    turned = {one.place: one for one in study_of(replace(CONFIG, arms=ARMS[::-1])).ends}
    assert turned.keys() == ends.keys()
    for place, one in turned.items():
        torch.testing.assert_close(one.test, ends[place].test, rtol=1e-3, atol=1e-3)
    first, second = (ends["iframe", "ic", arm, 1].test for arm in ARMS)
    assert (first - second).abs().max() > 0.1


# Which clips.


def test_the_hessian_sees_training_clips_in_the_middle_view_and_no_others(ends):
    known = {
        shown([clip], modality)[0].numpy().tobytes(): (modality, clip)
        for clip, modality in product(TRAIN, MODALITIES)
    }
    for one in ends.values():
        if one.network == "ic":
            continue
        assert [len(labels) for _, labels in one.loss.batches] == [5, 4]
        seen = []
        for inputs, labels in one.loss.batches:
            for x, label in zip(inputs, labels.tolist(), strict=True):
                modality, clip = known[x.numpy().tobytes()]  # no other view, no other side
                assert (modality, label) == (one.modality, clip.label)
                seen.append(clip)
        assert seen == list(sample_of(CONFIG)[: CONFIG.hessian_clips])


def test_classifiers_see_the_same_clips_as_their_network(ends):
    """By their features, which are what leaves the stages of the network of notebook 3."""
    clips = sample_of(CONFIG)[: CONFIG.hessian_clips]
    for modality in MODALITIES:
        with torch.no_grad():
            stages = stages_of(ends[modality, "own", "ce", 4].loss.net, shown(clips, modality))
        for arm, number in product(ARMS, (1, 2, 3)):
            batches = ends[modality, "ic", arm, number].loss.batches
            features, said = (torch.cat(parts) for parts in zip(*batches, strict=True))
            torch.testing.assert_close(features, stages[number - 1], rtol=1e-4, atol=1e-5)
            assert said.tolist() == [clip.label for clip in clips]


def many(counts):
    """Clips of as many classes, so many of each."""
    return [
        Clip(f"clip {label} {i:02d}", "", label, "")
        for label, count in enumerate(counts)
        for i in range(count)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_any_beginning_of_the_sample_is_balanced(seed):
    clips = many((9, 7, 8))
    for wanted in range(1, 22):
        found = spread(clips, wanted, seed=seed)
        assert len({clip.id for clip in found}) == len(found) == wanted
        for first in range(1, wanted + 1):
            counts = Counter(clip.label for clip in found[:first])
            assert max(counts.values()) - min(counts[label] for label in range(3)) <= 1
        assert found == spread(clips, 24, seed=seed)[:wanted]


def test_the_sample_is_drawn_by_seed_and_clip_alone():
    clips = many((9, 9))
    found = spread(clips, 8, seed=0)
    assert found == spread(clips[::-1], 8, seed=0)
    assert {clip.id for clip in found} != {clip.id for clip in spread(clips, 8, seed=1)}
    fewer = [clip for clip in clips if clip != found[0]]
    assert spread(fewer, 8, seed=0)[1::2] == found[1::2]  # the other class as before
    assert spread(fewer, 6, seed=0)[::2] == found[2::2]  # its own moved up


def test_a_class_that_ends_and_too_few_clips():
    clips = many((2, 6))
    assert Counter(clip.label for clip in spread(clips, 7, seed=0)) == {0: 2, 1: 5}
    assert sorted(clip.id for clip in spread(clips, 99, seed=0)) == sorted(c.id for c in clips)


def test_test_labels_are_read_once_and_after_all_is_measured(monkeypatch):
    feeds = small_feeds(CONFIG)
    measure = module.measure

    def sealed(*args, **how):
        assert feeds.split.test.reads == 0
        return measure(*args, **how)

    monkeypatch.setattr(module, "measure", sealed)
    found = study_of(CONFIG, feeds)
    assert found.reads == feeds.split.test.reads == 1
    assert feeds.split.test.reasons == ["gap between test and training loss"]
    assert found.labels.tolist() == [i % CLASSES for i in range(len(TEST))]
