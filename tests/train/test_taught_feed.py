"""Clips with labels and teachers: who is visited, what a batch carries, what networks say."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from taught import CLASSES, CLIPS, FRAMES, VIEWS, named_bank, pictures, taught_feed

from redistill import taught_feed as module
from redistill.nets.video import Taps, build_video
from redistill.taught_feed import averaged, say


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def epoch(feed, number=0, *, batch=5, seed=0):
    return list(feed.epoch(number, batch=batch, seed=seed))


def names(batches):
    return [batch.clips for batch in batches]


# Who is visited.


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("batch", [5, 8, 12, 40])
def test_every_batch_holds_the_trusted_share_and_the_pool_is_visited_once(share, batch):
    feed = taught_feed(trusted_share=share, pool=torch.tensor([1, 2, 3, 4, 6, 8, 9, 10, 11]))
    trusted = {feed.feed.clips[i] for i in feed.trusted.tolist()}
    batches = epoch(feed, batch=batch)
    assert len(batches) == feed.steps(batch)
    seen = Counter(name for part in batches for name in part.clips)
    pool = {feed.feed.clips[i] for i in feed.pool.tolist()}
    assert {name: n for name, n in seen.items() if name in pool} == dict.fromkeys(pool, 1)
    assert set(seen) <= pool | trusted
    for part in batches:
        assert len(part.clips) <= batch
        assert sum(name in trusted for name in part.clips) >= share * len(part.clips)


def test_trusted_clips_of_the_pool_come_once_and_as_often_as_drawn_besides():
    feed = taught_feed()
    drawn = Counter()
    for number in range(30):
        seen = Counter(name for part in epoch(feed, number) for name in part.clips)
        assert set(seen) == set(feed.feed.clips)
        drawn += seen
    trusted = [feed.feed.clips[i] for i in feed.trusted.tolist()]
    assert {drawn[name] for name in set(seen) - set(trusted)} == {30}
    extra = [drawn[name] - 30 for name in trusted]
    assert sum(extra) == 30 * feed.steps(5) * 2  # a quarter of five, rounded up
    assert max(extra) < 1.5 * min(extra)  # with replacement, all alike


def test_without_trusted_clips_there_is_nothing_to_add():
    feed = taught_feed(trusted=torch.tensor([], dtype=torch.int64))
    assert sorted(name for part in epoch(feed) for name in part.clips) == sorted(feed.feed.clips)


def test_the_order_depends_on_seed_and_epoch_alone():
    feed = taught_feed()
    first = names(epoch(feed, 3, seed=4))
    epoch(feed, 0)
    torch.manual_seed(99)
    assert names(epoch(feed, 3, seed=4)) == first
    others = taught_feed(
        uppers=(named_bank(),), labels=torch.eye(3).repeat(4, 1), weights=torch.ones(CLIPS)
    )
    assert names(epoch(others, 3, seed=4)) == first
    assert names(epoch(feed, 2, seed=4)) != first
    assert names(epoch(feed, 3, seed=5)) != first


# What a batch carries.


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_all_of_a_batch_is_of_the_same_clips_in_the_same_view(turn, number):
    feed = taught_feed(
        uppers=(named_bank(), named_bank(1, of=0.5)), partner=named_bank(of=0.25), turn=turn
    )
    view = (number + turn) % VIEWS
    for batch in epoch(feed, number):
        places = torch.tensor([feed.feed.clips.index(name) for name in batch.clips])
        assert torch.equal(batch.inputs[:, 0, 0, 0, 0], (20 * view + places).to(torch.uint8))
        assert torch.equal(batch.labels, feed.labels[places])
        assert torch.equal(batch.weights, feed.weights[places])
        assert torch.equal(batch.negatives, feed.negatives[places])
        several, single = batch.uppers
        assert torch.equal(several.logits[:, 0], 100.0 * view + places)
        assert torch.equal(several.embedding[:, 4], 100.0 * view + places)
        assert torch.equal(several.maps[0][:, 1, 1, 1, 1], 100.0 * view + places)
        assert torch.equal(single.logits[:, 0], places + 0.5)  # one view stands for all
        assert torch.equal(batch.partner[:, 0], 100.0 * view + places + 0.25)


def test_what_the_network_takes_is_the_scaled_picture():
    (batch,) = epoch(taught_feed(trusted_share=0.0), batch=12)
    x = batch.ready("cpu")
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    wanted = (batch.inputs.float() / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    torch.testing.assert_close(x, wanted)


def test_the_manifest_is_all_that_a_student_sees():
    plain = taught_feed(uppers=(named_bank(),))
    assert plain.manifest == taught_feed(uppers=(named_bank(),)).manifest
    others = [
        taught_feed(),
        replace(plain, uppers=(named_bank(of=0.5),)),
        replace(plain, partner=named_bank()),
        replace(plain, partner=named_bank(of=0.5)),
        replace(plain, turn=1),
        replace(plain, trusted_share=0.5),
        replace(plain, trusted=torch.tensor([0, 5])),
        replace(plain, pool=torch.arange(11)),
        replace(plain, labels=plain.labels.flip(1)),
        replace(plain, weights=plain.weights / 2),
        replace(plain, negatives=~plain.negatives),
        replace(plain, feed=replace(plain.feed, manifest="other")),
    ]
    assert len({feed.manifest for feed in (plain, *others)}) == len(others) + 1


# What networks say.


def network():
    """A network whose BatchNorms have left their start."""
    net = build_video("shift10", width=2, classes=CLASSES, frames=FRAMES, seed=0).train()
    with torch.no_grad():
        net(next(pictures().inorder()).ready("cpu"))
    return net


def test_a_network_is_heard_clip_by_clip_and_view_by_view():
    net, feed = network().eval(), pictures()
    bank = say(net, feed, device="cpu", keep=2)
    assert bank.logits.shape == (VIEWS, CLIPS, CLASSES)
    for view in range(VIEWS):
        for clip in (0, 7):
            one = replace(feed, views=feed.views[view : view + 1, clip : clip + 1])
            with torch.no_grad():
                alone = net.taps(next(replace(one, clips=("x",)).inorder()).ready("cpu"), keep=2)
            got = bank.apply(lambda x, v=view, c=clip: x[v, c : c + 1])
            for a, b in zip((got.logits, *got.maps), (alone.logits, *alone.maps), strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_hearing_changes_no_bit_of_a_network_and_leaves_its_mode(monkeypatch):
    net = network()
    before = {name: x.clone() for name, x in net.state_dict().items()}
    first = say(net, pictures(), device="cpu")
    assert net.training
    assert all(torch.equal(x, before[name]) for name, x in net.state_dict().items())
    assert torch.equal(say(net, pictures(), device="cpu").logits, first.logits)

    @contextmanager
    def careless(net):
        with torch.no_grad():
            yield net.train()

    monkeypatch.setattr(module, "evaluating", careless)
    say(net, pictures(), device="cpu")
    changed = {name for name, x in net.state_dict().items() if not torch.equal(x, before[name])}
    assert {name.rsplit(".", 1)[1] for name in changed} == {
        "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip


def test_the_mean_over_views_is_of_probabilities():
    draw = torch.Generator().manual_seed(0)
    bank = Taps(3 * torch.randn(4, 6, 5, generator=draw), torch.zeros(4, 6, 2))
    mean = averaged(bank)
    assert mean.logits.shape == (1, 6, 5)
    torch.testing.assert_close(mean.logits.softmax(-1)[0], bank.logits.softmax(-1).mean(0))
    torch.testing.assert_close(mean.logits.exp().sum(-1), torch.ones(1, 6))
    assert mean.embedding is bank.embedding
