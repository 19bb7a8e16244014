"""Clips with a teacher in the loop, against the same clips with the teacher's words in memory."""

from dataclasses import replace

import pytest
import torch
from taught import CLASSES, CLIPS, FRAMES, VIEWS, pictures, taught_feed
from torch.nn import functional as F

from redistill import live_feed as module
from redistill.feed import Feed
from redistill.live_feed import LiveFeed
from redistill.nets.video import build_video
from redistill.predict import settle
from redistill.taught_feed import say

SWAP = (1, 0, 2)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def above(seed=5, width=3):
    """A frozen network whose BatchNorms have left their start."""
    net = build_video("shift10", width=width, classes=CLASSES, frames=FRAMES, seed=seed).train()
    with torch.no_grad():
        net(next(pictures().inorder()).ready("cpu"))
    return settle(net)


def live(**changes):
    whole = {"feed": pictures(), "classes": CLASSES, "teacher": above(), "keep": 2}
    return LiveFeed(**whole | changes)


def mirrored(feed: Feed) -> Feed:
    flags = torch.rand(VIEWS, CLIPS, generator=torch.Generator().manual_seed(0)) < 0.5
    return replace(feed, mirrored=flags, swap=SWAP)


def in_memory(feed: Feed, teacher, keep=2):
    return taught_feed(
        feed=feed,
        labels=F.one_hot(feed.labels, CLASSES).float(),
        weights=torch.ones(CLIPS),
        negatives=torch.zeros(CLIPS, CLASSES, dtype=torch.bool),
        trusted_share=0.0,
        uppers=(say(teacher, feed, device="cpu", keep=keep),),
    )


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("batch", [5, 12])
def test_batches_are_those_of_words_in_memory(number, turned, batch):
    teacher = above()
    feed = mirrored(pictures()) if turned else pictures()
    ours, held = live(feed=feed, teacher=teacher), in_memory(feed, teacher)
    assert len(ours) == len(held) == CLIPS
    assert ours.steps(batch) == held.steps(batch)
    pairs = [list(f.epoch(number, batch=batch, seed=3)) for f in (ours, held)]
    assert len(pairs[0]) == ours.steps(batch)
    for a, b in zip(*pairs, strict=True):
        assert (a.clips, a.modality) == (b.clips, b.modality)
        for name in ("inputs", "labels", "weights", "negatives"):
            one, other = getattr(a, name), getattr(b, name)
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
        assert a.partner is b.partner is None
        said, kept = a.uppers[0], b.uppers[0]
        for one, other in zip(
            (said.logits, said.embedding, *said.maps),
            (kept.logits, kept.embedding, *kept.maps),
            strict=True,
        ):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)  # of other batch sizes


def test_a_mirrored_view_has_the_label_of_what_it_shows():
    """Of words in memory soft labels turn too, each class taking the place of its mirror image."""
    feed = mirrored(pictures())
    soft = torch.rand(CLIPS, CLASSES, generator=torch.Generator().manual_seed(1)).softmax(1)
    held = taught_feed(feed=feed, labels=soft, trusted_share=0.0)
    seen = set()
    for number in range(VIEWS):
        for batch in held.epoch(number, batch=5, seed=0):
            for name, label in zip(batch.clips, batch.labels, strict=True):
                place = feed.clips.index(name)
                flag = feed.mirrored[number, place].item()
                wanted = soft[place][list(SWAP)] if flag else soft[place]
                assert torch.equal(label, wanted)
                seen.add(flag)
    assert seen == {False, True}


def test_without_a_teacher_there_are_labels_alone():
    for batch in live(teacher=None, keep=0).epoch(0, batch=5, seed=0):
        assert batch.uppers == ()
        assert batch.labels.sum(1).tolist() == [1.0] * len(batch.clips)


def test_hearing_changes_no_bit_of_the_teacher_and_leaves_no_graph():
    teacher = above().requires_grad_(True).train()
    before = {name: x.clone() for name, x in teacher.state_dict().items()}
    for batch in live(teacher=teacher).epoch(0, batch=5, seed=0):
        assert teacher.training  # as it was, whenever a student may look
        said = batch.uppers[0]
        assert not any(x.requires_grad for x in (said.logits, said.embedding, *said.maps))
        assert len(said.maps) == 2
    assert all(torch.equal(x, before[name]) for name, x in teacher.state_dict().items())


def test_the_manifest_is_all_that_a_student_sees(monkeypatch):
    plain = live()
    assert plain.manifest == live().manifest
    other = above()
    with torch.no_grad():
        other.net.fc.bias[0] += 1e-6
    counted = above()
    counted.net.bn1.running_mean[0] += 1e-6
    others = [
        live(teacher=None),
        live(teacher=other),
        live(teacher=counted),
        live(teacher=above(width=4)),
        live(keep=1),
        live(amp=True),
        live(classes=CLASSES + 1),
        live(feed=replace(pictures(), manifest="other")),
    ]
    found = {feed.manifest for feed in (plain, *others)}
    assert len(found) == len(others) + 1
    monkeypatch.setattr(module, "source_hash", lambda *names: "another source")
    assert plain.manifest not in found
