"""Notebook 2 on one tiny fold: every arm, alike starts, what is sealed, frequencies, streams."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_school import CLASSES, CLIPS, FRAMES, quicken, same, tiny_feeds, weights
from tiny_spectrum import small_config, small_school, study_of

from redistill.errors import ConfigError
from redistill.live_feed import LiveFeed
from redistill.methods.collaboration import COLLABORATIONS
from redistill.methods.frequencies import energy_by_bin
from redistill.methods.school import School
from redistill.methods.spectrum_arms import ARMS, PRESETS
from redistill.methods.spectrum_study import train_arm, train_teacher
from redistill.nets.follower import Follower
from redistill.nets.kernels import stage_kernels

LONG = ("teacher", "alone_long")


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path_factory):
    quicken(monkeypatch, tmp_path_factory.getbasetemp() / "phases")  # found by later tests


@pytest.fixture
def runs(monkeypatch):
    """What each network is trained in, in order: name, feed, loss, first weights, what came."""
    seen, run = [], School.run

    def watch(self, name, module, feed, objective, **how):
        one = SimpleNamespace(name=name, module=module, feed=feed, loss=objective, how=how)
        one.first, one.net = weights(module.net), module.net
        seen.append(one)
        one.learned = run(self, name, module, feed, objective, **how)
        return one.learned

    monkeypatch.setattr(School, "run", watch)
    return seen


# Every arm.


def test_every_arm_trains_and_starts_alike(runs):
    study = study_of(small_config(arms=ARMS))
    assert set(study.arms) == {"teacher", *ARMS} == set(study.journals)
    for name, arm in study.arms.items():
        assert {split: x.shape for split, x in arm.logits.items()} == {
            "val": (6, CLASSES), "test": (6, CLASSES),
        }  # fmt: skip
        assert all(x.isfinite().all() for x in arm.logits.values()), name
    assert [one.name for one in runs] == ["teacher", *ARMS]
    first, by_name = runs[1], {one.name: one for one in runs}
    order = [batch.clips for batch in first.feed.epoch(1, batch=12, seed=first.how["seed"])]
    for one in runs[1:]:
        assert same(one.first, first.first), one.name
        assert not same(weights(one.net), one.first)
        assert one.how["seed"] == first.how["seed"]
        assert (one.how["steps"] > 2) == (one.name in LONG)
        assert [b.clips for b in one.feed.epoch(1, batch=12, seed=one.how["seed"])] == order
        assert len(study.journals[one.name]) == one.how["steps"]
        assert ("noise_features" in study.journals[one.name][0]) == (one.name in PRESETS)
    assert_costs(study)
    assert_maps(study, by_name)
    assert_arms_differ(study)


def assert_costs(study):
    """Multiply-accumulates by hand: a training step is three forward passes."""
    above, own = (study.arms[name].inference for name in ("teacher", "alone"))
    shown = 2 * CLIPS
    for name, arm in study.arms.items():
        assert arm.inference == (above if name == "teacher" else own)
        heard = 3 if name == "mutual" else not name.startswith("pdd")
        if name not in ("alone", *LONG):
            assert arm.training == shown * (3 * own + heard * above), name
    assert study.arms["alone"].training == shown * 3 * own
    longer = round(2 * (3 * own + above) / (3 * own))
    assert study.arms["alone_long"].training == longer * CLIPS * 3 * own > shown * 3 * own


def assert_maps(study, by_name):
    """Errors by bin come from maps of channels that were trained, and from no others."""
    for name in PRESETS:
        follower = by_name[name].module
        assert isinstance(follower, Follower)
        untrained = name.startswith("pdd") or name in ("group_mean", "attention", "distribution")
        assert len(follower.project) == (0 if untrained else 4 if name == "all_stages" else 1)
        assert (study.frequencies[name].error is None) == untrained


def assert_arms_differ(study):
    """A reading that ends with the very scores of another would be a switch without effect."""
    alike = {  # in pictures whose last maps have one place
        "volume": "fsd", "per_pixel": "fsd", "fsd_reversed": "fsd", "attention": "alone",
    }  # fmt: skip
    scores = {name: study.arms[name].logits["test"] for name in ("alone", *PRESETS)}
    told = {name: x.numpy().tobytes() for name, x in scores.items() if name not in alike}
    assert len(set(told.values())) == len(told)
    for name, other in alike.items():
        torch.testing.assert_close(scores[name], scores[other], rtol=1e-3, atol=1e-4)


def test_a_study_is_found_again(runs):
    config = small_config(arms=("alone", "kd", "collab", "mutual"))
    first, again = study_of(config), study_of(config)
    assert [one.learned.key for one in runs[:5]] == [one.learned.key for one in runs[5:]]
    assert len({one.learned.key for one in runs}) == 5
    for name in first.arms:
        for split in ("val", "test"):
            one, other = (study.arms[name].logits[split] for study in (first, again))
            assert torch.equal(one, other)
        assert first.journals[name] == again.journals[name]  # with its seconds: nothing was done
        assert torch.equal(first.frequencies[name].bins, again.frequencies[name].bins)


def test_arms_do_not_know_each_other():
    """Neither their order nor who else is there changes an arm; `also` is as good as `arms`."""
    names = ("fsd", "stochastic", "at", "all_stages")
    whole = study_of(small_config(arms=names, lr=0.02)).arms
    turned = study_of(small_config(arms=names[2:], also=names[1::-1], lr=0.02)).arms
    assert whole.keys() == turned.keys()
    for name in whole:
        assert torch.equal(whole[name].logits["test"], turned[name].logits["test"])


@pytest.mark.parametrize("mode", COLLABORATIONS)
def test_p21_without_both_losses_an_arm_is_alone_to_the_bit(mode):
    school = small_school(collab=mode, lambda_f=0.0, lambda_p=0.0)
    teacher = train_teacher(school)
    plain, ours = (train_arm(school, teacher, name) for name in ("alone", "collab"))
    assert same(weights(plain.net), weights(ours.net))
    assert plain.key != ours.key


def test_p16_no_arm_changes_the_teacher(runs):
    school = small_school()
    teacher = train_teacher(school)
    before = weights(teacher.net)
    kernels = [k.clone() for stage in stage_kernels(teacher.net) for k in stage.values()]
    for name in ("collab", "mutual", "fitnet"):
        train_arm(school, teacher, name)
        assert same(weights(teacher.net), before)
        assert not teacher.net.training
    given = [k for stage in runs[1].module.given() for k in stage.values()]
    assert all(map(torch.equal, given, kernels))
    given = [k for stage in runs[2].module.given() for k in stage.values()]
    assert not any(map(torch.equal, given, kernels))  # a copy learned


# What is sealed.


def test_the_test_labels_are_read_once_and_at_the_end(monkeypatch):
    feeds = tiny_feeds()
    run, ask = School.run, School.ask

    def sealed(function):
        def watch(self, *args, **how):
            assert feeds.split.test.reads == 0
            return function(self, *args, **how)

        return watch

    monkeypatch.setattr(School, "run", sealed(run))
    monkeypatch.setattr(School, "ask", sealed(ask))
    study = study_of(small_config(arms=("alone", "fsd")), feeds)
    assert study.reads == 1
    assert feeds.split.test.reasons == ["accuracy of the fold"]
    assert study.labels["test"].tolist() == [0, 1, 2, 0, 1, 2]
    assert torch.equal(study.labels["val"], feeds.val_labels)


# Frequencies.


def test_frequencies_are_shares_and_distances_to_the_teacher():
    study = study_of(small_config(arms=("alone", "fsd", "collab")))
    assert set(study.frequencies) == {"teacher", "alone", "fsd", "collab", "untrained"}
    for found in study.frequencies.values():
        assert found.bins.shape == (FRAMES // 2 + 1,)
        assert found.bins.sum().item() == pytest.approx(1, abs=1e-5)
        assert [x.shape for x in found.kernels] == [(3, 3)] * 4
        for share in found.kernels:
            assert (share > 0).all()
            assert share.sum().item() == pytest.approx(1, abs=1e-5)
    teacher, untrained = (study.frequencies[name] for name in ("teacher", "untrained"))
    assert teacher.distance == pytest.approx([0] * 4, abs=1e-6)
    assert min(untrained.distance) > 1e-4
    for stage, distance in enumerate(untrained.distance):
        p, q = (x.kernels[stage].double() for x in (teacher, untrained))
        assert distance == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-3)
    errors = {name for name, x in study.frequencies.items() if x.error is not None}
    assert errors == {"fsd", "collab"}
    assert 0 < study.frequencies["fsd"].error.sum() <= 2


@pytest.mark.parametrize("frames", [4, 5, 8])
def test_energy_by_bin_is_that_of_the_two_sided_spectrum(frames):
    maps = torch.randn(6, 3, frames, 2, 2, generator=torch.Generator().manual_seed(0))
    energy = np.abs(np.fft.fft(maps.double().mean((3, 4)).numpy(), axis=2)) ** 2
    whole = energy.sum((0, 1))
    wanted = [
        sum(whole[j] for j in range(frames) if j in (k, (frames - k) % frames))
        for k in range(frames // 2 + 1)
    ]
    got = energy_by_bin(maps).tolist()
    assert got == pytest.approx([x / whole.sum() for x in wanted], rel=1e-4)


# Streams, and what cannot be.


def test_a_stream_teaches_what_words_in_memory_do(runs):
    """Up to the last bits, in which batches of other sizes differ."""
    for name in ("collab", "fitnet", "kd", "alone", "pdd"):
        pair = []
        for school in (small_school(stream=True), small_school()):  # of as many fixed views
            teacher = train_teacher(school)
            pair.append(train_arm(school, teacher, name))
        live, held = (weights(one.net) for one in pair)
        assert live.keys() == held.keys()
        for key in live:
            torch.testing.assert_close(live[key], held[key], rtol=1e-3, atol=1e-4)
        assert pair[0].macs == pair[1].macs
    feeds = {one.name: one.feed for one in runs if isinstance(one.feed, LiveFeed)}
    heard = {name: feed.teacher is not None for name, feed in feeds.items()}
    silent = {"teacher": False, "alone": False, "pdd": False}
    assert heard == {"collab": True, "fitnet": True, "kd": True} | silent
    assert (feeds["collab"].keep, feeds["fitnet"].keep, feeds["kd"].keep) == (1, 2, 0)


@pytest.mark.parametrize(
    ("arm", "changes", "message"),
    [
        ("fsd", {"channels": "identity"}, "the student has 16 channels and the teacher 24"),
        ("group_mean", {"student_width": 4}, "the student has 32 channels and the teacher 24"),
        ("pdd", {"statistic": "flat"}, "flat"),
    ],
)
def test_readings_that_need_equal_networks_are_refused_with_others(arm, changes, message):
    school = small_school(**changes)
    with pytest.raises(ConfigError, match=message):
        train_arm(school, train_teacher(school), arm)
    equal = small_school(**changes | {"student_width": 3})
    train_arm(equal, train_teacher(equal), arm)
