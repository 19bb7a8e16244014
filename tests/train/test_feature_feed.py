"""Features computed once, and in every step: the same batches, and a backbone that never moves."""

from dataclasses import replace

import pytest
import torch
from drawn import drawn_feed
from torch import nn
from torch.nn import functional as F

from redistill.config import resolve
from redistill.feature_feed import feature_feeds
from redistill.methods.arms import ARMS
from redistill.methods.distil import Distil
from redistill.methods.exits import exit_logits, exit_phase, exits_of, train_exits
from redistill.methods.progressive import ProgressiveConfig
from redistill.nets.streams import build_stream
from redistill.predict import settle
from redistill.train import Trained, run_phase
from redistill.trunk_feed import TrunkFeed

MODALITIES = ("iframe", "mv", "residual")
CONFIG = resolve(ProgressiveConfig, {"ic_steps": 9, "batch": 8, "width": 4})


def pictures():
    feed = drawn_feed()
    feed = replace(feed, views=feed.views.repeat_interleave(2, -1).repeat_interleave(2, -2))
    three = torch.cat([feed.views, feed.views[:, :, :, :1]], dim=3)
    views = {"iframe": three, "mv": feed.views, "residual": three.flip(3)}
    return {m: replace(feed, views=x, modality=m, manifest=m) for m, x in views.items()}


def networks():
    nets = {m: build_stream(m, depth=10, width=4, classes=3, seed=1) for m in MODALITIES}
    for net in nets.values():  # statistics that BatchNorm did not start with
        net.train()(torch.randn(4, 2, 2 if net.modality == "mv" else 3, 32, 32))
    return {m: settle(net) for m, net in nets.items()}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REDISTILL_CACHE", str(tmp_path))


def bits(nets) -> dict[str, torch.Tensor]:
    return {f"{m}.{k}": v.clone() for m, net in nets.items() for k, v in net.state_dict().items()}


@pytest.mark.parametrize("modality", MODALITIES)
def test_both_ways_give_the_same_batches(modality):
    nets, feeds = networks(), pictures()
    once = feature_feeds(nets, feeds, device="cpu")[modality]
    live = TrunkFeed(
        modality=modality, student=nets[modality], nets=nets, feeds=feeds, device="cpu", name="x"
    )
    assert len(live) == len(once)
    for epoch in (0, 1, 2):
        pairs = zip(
            once.epoch(epoch, batch=8, seed=5), live.epoch(epoch, batch=8, seed=5), strict=True
        )
        for kept, made in pairs:
            assert kept.clips == made.clips
            assert torch.equal(kept.labels, made.labels)
            assert kept.teachers.keys() == made.teachers.keys()
            for name in kept.teachers:
                assert torch.allclose(kept.teachers[name], made.teachers[name], atol=1e-5)
            for a, b in zip(kept.features, made.features, strict=True):
                assert torch.allclose(a, b, atol=1e-4)
    assert torch.equal(kept.teachers["own"], kept.teachers[modality])


def test_classifiers_never_change_a_backbone_by_a_bit(cache):
    nets, feeds = networks(), pictures()
    before = bits(nets)
    once = feature_feeds(nets, feeds, device="cpu")
    trained = {m: Trained(net, [], False, "") for m, net in nets.items()}
    parts = {"train": once, "val": once, "test": once}
    train_exits(CONFIG, trained, parts, [ARMS["ce"], ARMS["pkd"]], device="cpu")
    live = TrunkFeed(
        modality="mv", student=nets["mv"], nets=nets, feeds=feeds, device="cpu", name=""
    )
    arms = (ARMS["kd_final"],)
    exits = exits_of(nets["mv"], arms, CONFIG)
    run_phase(exit_phase("x", "mv", CONFIG, device="cpu"), exits, live, objective=Distil(arms))
    after = bits(nets)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_drifting_student_moves_its_statistics_and_nothing_else():
    nets, feeds = networks(), pictures()
    import copy

    student = copy.deepcopy(nets["mv"])
    before = {k: v.clone() for k, v in student.state_dict().items()}
    live = TrunkFeed(
        modality="mv", student=student, nets=nets, feeds=feeds, device="cpu", name="", drift=True
    )
    batch = next(live.epoch(0, batch=8, seed=0))
    moved = {k for k, v in student.state_dict().items() if not torch.equal(before[k], v)}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)
    assert not torch.allclose(batch.teachers["own"], batch.teachers["mv"], atol=1e-3)
    assert not any(module.training for module in student.modules())


def test_classifiers_learn_as_in_a_hand_written_loop_that_forwards_everything(cache):
    """The slow definition: student and teachers in every step, one arm and one IC at a time."""
    nets, feeds = networks(), pictures()
    once = feature_feeds(nets, feeds, device="cpu")
    trained = {"mv": Trained(nets["mv"], [], False, "")}
    arms = [ARMS["ce"], ARMS["pkd"]]
    parts = dict.fromkeys(("train", "val", "test"), once)
    fast = train_exits(CONFIG, trained, parts, arms, device="cpu")["mv"]
    for _number, arm in enumerate(arms):
        for stage in range(3):
            exits = exits_of(nets["mv"], [arm], CONFIG)
            ic = exits.ics[stage].train()
            optimizer = torch.optim.AdamW(
                [
                    {"params": [ic.conv.weight, ic.weight], "weight_decay": CONFIG.weight_decay},
                    {"params": [ic.bias, *ic.bn.parameters()], "weight_decay": 0.0},
                ],
                lr=CONFIG.lr,
            )
            slow_training(ic, stage, arm, nets, feeds, optimizer)
            z = ic.eval()(next(once["mv"].inorder()).features[stage])[0]
            ours = exit_logits({"mv": fast}, once, arms, device="cpu")[arm.name]["mv"][stage]
            assert torch.allclose(z, ours, atol=2e-3), (arm.name, stage)


def slow_training(ic, stage, arm, nets, feeds, optimizer) -> None:
    from redistill.optim import schedule

    step, last = 0, 9
    for epoch in range(3):
        orders = {m: feeds[m].epoch(epoch, batch=8, seed=CONFIG.seed) for m in MODALITIES}
        for _ in range(3):
            batches = {m: next(orders[m]) for m in MODALITIES}
            with torch.no_grad():
                scores = {m: nets[m](batches[m].ready("cpu")) for m in MODALITIES}
                student = nets["mv"]
                h = student.data_bn(batches["mv"].ready("cpu").flatten(0, 1))
                h = student.net.maxpool(student.net.relu(student.net.bn1(student.net.conv1(h))))
                for i in range(stage + 1):
                    h = getattr(student.net, f"layer{i + 1}")(h)
            z = ic(h.unflatten(0, (-1, 2)))[0]
            teacher = arm.teacher(step / last)
            if teacher is None:
                loss = F.cross_entropy(z, batches["mv"].labels)
            else:
                t = scores["mv" if teacher == "own" else teacher]
                loss = -(t.softmax(-1) * z.log_softmax(-1)).sum(-1).mean()
            for group in optimizer.param_groups:
                group["lr"] = CONFIG.lr * schedule(step, last)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1


def test_watched_classes_are_those_of_each_epoch(cache):
    nets, feeds = networks(), pictures()
    once = feature_feeds(nets, feeds, device="cpu")
    trained = {"mv": Trained(nets["mv"], [], False, "")}
    parts = dict.fromkeys(("train", "val", "test"), once)
    fast = train_exits(CONFIG, trained, parts, [ARMS["ce"]], device="cpu")["mv"]
    assert fast.watched.shape == (3, 1, 3, 21)
    logits = exit_logits({"mv": fast}, once, [ARMS["ce"]], device="cpu")["ce"]["mv"]
    assert torch.equal(fast.watched[-1, 0], logits[:3].argmax(-1).to(torch.uint8))
    assert isinstance(nets["mv"], nn.Module)
