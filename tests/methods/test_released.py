"""The released training on tiny pictures: what each pass changes, and what must stay as it was."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from redistill.config import resolve
from redistill.feature_feed import feature_feeds
from redistill.feed import Feed
from redistill.feeds import Feeds
from redistill.methods import released
from redistill.methods.arms import ARMS, PASSES, Pass
from redistill.methods.exits import exit_phase
from redistill.methods.progressive import ProgressiveConfig
from redistill.methods.released import Jittered, drift, train_released
from redistill.nets.streams import build_stream
from redistill.predict import predict, settle
from redistill.train import Trained
from redistill.trunk_feed import TrunkFeed
from redistill.video.colour import jitter
from redistill.video.keyed import generator

MODALITIES = ("iframe", "mv", "residual")
CONFIG = resolve(ProgressiveConfig, {"ic_steps": 6, "batch": 8, "width": 4, "lr": 0.01})
NAMES = ("long", "drift", "released")


def pictures(clips=21, views=2, seed=0):
    """Noise with a class-dependent brightness, the same clips for all three modalities."""
    labels = torch.arange(clips) % 3
    rng = np.random.default_rng(seed)
    feeds = {}
    for modality in MODALITIES:
        noise = rng.integers(0, 60, (views, clips, 2, 2 if modality == "mv" else 3, 32, 32))
        shown = torch.as_tensor(noise) + 60 * labels.view(1, -1, 1, 1, 1, 1)
        feeds[modality] = Feed(
            views=shown.to(torch.uint8),
            modality=modality,
            labels=labels,
            clips=tuple(f"clip{i:02d}" for i in range(clips)),
            manifest=f"{modality} {clips} {views} {seed}",
        )
    return feeds


def networks():
    nets = {m: build_stream(m, depth=10, width=4, classes=3, seed=1) for m in MODALITIES}
    for m, net in nets.items():  # statistics that BatchNorm did not start with
        net.train()(torch.randn(4, 2, 2 if m == "mv" else 3, 32, 32))
    return {m: settle(net) for m, net in nets.items()}


def bits(nets):
    return {f"{m}.{k}": v.clone() for m, net in nets.items() for k, v in net.state_dict().items()}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """All passes trained, and all of them asked for again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDISTILL_CACHE", str(tmp_path_factory.mktemp("cache")))
        nets, feeds = networks(), (pictures(), pictures(9, 1, 1), pictures(12, 1, 2))
        before = bits(nets)
        trained = {m: Trained(net, [], False, m) for m, net in nets.items()}
        parts = Feeds(*feeds, split=None, dropped=())
        names = ("train", "val", "test")
        features = {
            name: feature_feeds(nets, each, device="cpu")
            for name, each in zip(names, feeds, strict=True)
        }
        lines = []

        def train():
            tick = lambda modality, line: lines.append(modality)  # noqa: E731
            return train_released(NAMES, CONFIG, trained, parts, features, device="cpu", tick=tick)

        first, made = train(), len(lines)
        again = train()
        return {
            "first": first, "again": again, "lines": (made, len(lines)), "nets": nets,
            "before": before, "features": features, "test": feeds[2],
        }  # fmt: skip


def test_every_pass_answers_for_every_arm_clip_and_exit(study):
    assert list(study["first"]) == ["val", "test"]
    for split, clips in (("val", 9), ("test", 12)):
        found = study["first"][split]
        assert set(found) == {
            "ce_long", "pkd_long", "ce_drift", "pkd_drift",
            "ce_released", "anticurriculum_released", "pkd_released",
        }  # fmt: skip
        for networks in found.values():
            assert {m: z.shape for m, z in networks.items()} == dict.fromkeys(
                MODALITIES, (4, clips, 3)
            )
            assert all(z.isfinite().all() for z in networks.values())


def test_backbones_stay_as_they_were_bit_for_bit(study):
    after = bits(study["nets"])
    assert all(torch.equal(before, after[name]) for name, before in study["before"].items())


def test_asked_again_nothing_is_trained_and_all_numbers_are_the_same(study):
    made, in_all = study["lines"]
    assert made > 0
    assert in_all == made
    for split, arms in study["first"].items():
        for arm, found in arms.items():
            for modality, z in found.items():
                assert torch.equal(z, study["again"][split][arm][modality]), (arm, modality)


def test_only_a_drifting_student_has_another_last_exit(study):
    for arm, found in study["first"]["test"].items():
        for modality, z in found.items():
            own = predict(study["nets"][modality], study["test"][modality])
            assert torch.allclose(z[3], own, atol=1e-5) == (not arm.endswith("_drift")), arm


def test_arms_get_names_of_their_own_and_fixed_biases_only_where_somebody_teaches():
    ce, pkd = Pass(arms=("ce", "pkd"), bias=False).renamed("released")
    assert (ce.name, pkd.name) == ("ce_released", "pkd_released")
    assert (ce.bias, pkd.bias) == (True, False)
    assert pkd.teachers == ARMS["pkd"].teachers
    assert all(arm.bias for arm in PASSES["long"][0].renamed("long"))
    names = [arm.name for name, some in PASSES.items() for p in some for arm in p.renamed(name)]
    assert len(set(names) | set(ARMS)) == len(names) + len(ARMS)


def phase_of(one, modality="mv", **settings):
    config = replace(CONFIG, **settings)
    changes = released._changes(one, config)
    return exit_phase("x", modality, config, device="cpu", **changes)


def test_a_pass_changes_what_it_names_and_nothing_else():
    usual = exit_phase("x", "mv", CONFIG, device="cpu")
    assert phase_of(Pass(arms=("ce",), drift=True)) == usual
    assert phase_of(Pass(arms=("ce",), budget=2)) == replace(usual, steps=12)
    assert phase_of(Pass(arms=("ce",), decay=False)) == replace(usual, weight_decay=0.0)
    assert phase_of(Pass(arms=("ce",), drops=(0.5,))) == replace(usual, drops=(0.5,))


def test_under_the_papers_recipe_a_pass_keeps_its_drops_unless_it_has_its_own():
    for one in (Pass(arms=("ce",), budget=2), Pass(arms=("ce",), drift=True)):
        assert phase_of(one, recipe="paper").drops == (1 / 3, 2 / 3)
    (_, pkd) = PASSES["released"]
    assert phase_of(pkd, recipe="paper").drops == (1 / 2, 2 / 3, 5 / 6)
    assert phase_of(pkd, recipe="paper").weight_decay == 0


def test_drift_is_the_replay_of_all_epochs_though_only_the_last_are_replayed():
    net, feed = networks()["residual"], pictures()["residual"]
    before = bits({"": net})
    seen = []

    class Counted(Feed):
        def epoch(self, epoch, **options):
            seen.append(epoch)
            return super().epoch(epoch, **options)

    counted = Counted(**vars(feed))
    fast = drift(net, counted, epochs=60, batch=8, seed=4, device="cpu")
    slow = copy.deepcopy(net).train()
    for epoch in range(60):
        for batch in feed.epoch(epoch, batch=8, seed=4):
            with torch.no_grad():
                slow(batch.ready("cpu"))
    assert seen == list(range(10, 60))
    ours, theirs, weights = fast.state_dict(), slow.state_dict(), dict(net.named_parameters())
    for name in ours:
        if "running" in name:
            assert torch.allclose(ours[name], theirs[name], atol=1e-5), name
            assert not torch.allclose(ours[name], before[f".{name}"], atol=1e-3), name
    assert all(torch.equal(ours[name], w) for name, w in weights.items())
    assert all(torch.equal(v, before[f".{k}"]) for k, v in net.state_dict().items())
    assert not any(module.training for module in fast.modules())


def test_drift_is_what_the_training_itself_does_to_a_student():
    nets, feeds = networks(), pictures()
    live = TrunkFeed(
        modality="mv", student=copy.deepcopy(nets["mv"]), nets=nets, feeds=feeds, device="cpu",
        name="", drift=True,
    )  # fmt: skip
    for epoch in range(3):
        for _ in live.epoch(epoch, batch=8, seed=0):
            pass
    replayed = drift(nets["mv"], feeds["mv"], epochs=3, batch=8, seed=0, device="cpu")
    for name, value in live.student.state_dict().items():
        assert torch.allclose(value.float(), replayed.state_dict()[name].float(), atol=1e-6), name


def frames(feed, *, seed, batch):
    batches = list(Jittered(feed, seed=seed).inorder(batch=batch))
    return torch.cat([b.inputs for b in batches]), [c for b in batches for c in b.clips]


def test_colours_are_shaken_by_seed_and_clip_whatever_the_batch():
    feed = pictures(views=1)["iframe"]
    shaken, clips = frames(feed, seed=3, batch=8)
    other, _ = frames(feed, seed=3, batch=5)
    assert torch.equal(shaken, other)
    assert shaken.dtype == torch.uint8
    assert tuple(clips) == feed.clips
    assert not torch.equal(shaken, frames(feed, seed=4, batch=8)[0])
    for place in (0, 7, 20):
        rng = generator(3, 0, feed.clips[place], "test")
        assert torch.equal(shaken[place], jitter(feed.views[0, place], rng))
        assert not torch.equal(shaken[place], feed.views[0, place])
    turned = replace(feed, views=feed.views.flip(1), clips=feed.clips[::-1])
    assert torch.equal(frames(turned, seed=3, batch=8)[0].flip(0), shaken)


def test_shaken_frames_go_through_a_network_as_any_others(study):
    feed = study["test"]["iframe"]
    logits = predict(study["nets"]["iframe"], Jittered(feed, seed=0))
    assert logits.shape == (12, 3)
    assert not torch.allclose(logits, predict(study["nets"]["iframe"], feed), atol=1e-3)
