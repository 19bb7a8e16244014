"""Clips decoded as they are needed, against the bank of views and the loader itself."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from redistill.errors import ConfigError, RedistillError, VideoError
from redistill.feeds import open_feeds, open_streams
from redistill.modality import MODALITIES
from redistill.nets.streams import build_stream
from redistill.phase import Phase
from redistill.stream_feed import StreamFeed
from redistill.train import run_phase
from redistill.video import prepare
from redistill.video.clips import ClipLoader
from redistill.video.splits import Clip

SETTINGS = SimpleNamespace(
    segments=2, size=32, views=3, seed=0, workers=0, on_bad="raise", stream=True
)
LOADER = ClipLoader(size=32, train=True, segments=1, modalities=("mv",))


def settings(**changes):
    return SimpleNamespace(**vars(SETTINGS) | changes)


def same(ours, theirs):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert a.inputs.stride() == b.inputs.stride()  # else convolutions sum in another order
        assert torch.equal(a.labels, b.labels)
        assert (a.clips, a.modality) == (b.clips, b.modality)
    return True


@pytest.fixture
def split(small):
    return small.split(0)


@pytest.fixture
def few(split):
    """A stream of seven motion clips that draws new views for ever."""
    return StreamFeed(source=split.train[:7], loader=LOADER, manifest="m")


def test_batches_are_bit_equal_to_those_of_the_bank(small, split):
    """All modalities, all sides; training beyond the last view, where views repeat."""
    split = replace(split, train=split.train[:7], val=split.val[:3])
    banked = open_feeds(split, settings(stream=False), flip=True)
    stream = open_streams(split, SETTINGS, flip=True, manifest=small.manifest, views=3)
    for modality in MODALITIES:
        ours, theirs = stream.train[modality], banked.train[modality]
        assert (len(ours), ours.steps(4)) == (len(theirs), theirs.steps(4))
        for epoch in (0, 4):
            assert same(ours.epoch(epoch, batch=4, seed=5), theirs.epoch(epoch, batch=4, seed=5))
        assert same(ours.inorder(batch=5, view=1), theirs.inorder(batch=5, view=1))
        for side in ("val", "test"):
            assert same(
                getattr(stream, side)[modality].inorder(), getattr(banked, side)[modality].inorder()
            )
    assert torch.equal(stream.val_labels, banked.val_labels)


def test_training_on_a_stream_is_training_on_the_bank(small, split, cache):
    """Same losses to the bit, epoch by epoch, although the phases have keys of their own."""
    short = replace(split, train=split.train[:8], val=split.val[:4])
    banked = open_feeds(short, settings(stream=False, views=2), flip=False)
    stream = open_streams(short, settings(workers=2), flip=False, manifest="m", views=2)
    phase = Phase(name="mv", steps=6, batch=4, lr=1e-3, weight_decay=0.01, seed=0)
    runs = []
    for feeds in (banked, stream):
        net = build_stream("mv", depth=10, width=4, classes=12, seed=0)
        runs.append(run_phase(phase, net, feeds.train["mv"], val=feeds.val["mv"]))
    losses = [[(line["loss"], line["val"]) for line in run.journal] for run in runs]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
    assert not runs[1].found
    assert runs[0].key != runs[1].key


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [2, 16])
def test_the_number_of_workers_changes_nothing(few, workers):
    many = replace_workers(few, workers)
    assert same(many.epoch(3, batch=2, seed=1), few.epoch(3, batch=2, seed=1))


def replace_workers(feed, workers):
    return StreamFeed(source=feed.source, loader=feed.loader, manifest="m", workers=workers)


def test_an_epoch_depends_on_its_number_alone(few):
    """So a resumed training sees what an undisturbed one would, and two readers do not meet."""
    alone = list(few.epoch(2, batch=3, seed=0))
    list(few.epoch(0, batch=3, seed=0))
    first, second = few.epoch(1, batch=3, seed=0), few.epoch(2, batch=3, seed=0)
    woven = list(zip(first, second, strict=True))
    assert same(alone, [b for _, b in woven])
    assert not torch.equal(alone[0].inputs, woven[0][0].inputs)


def test_views_are_new_for_ever_or_repeat(few):
    def clip(feed, epoch):
        batch = next(feed.epoch(epoch, batch=7, seed=0))
        return batch.inputs[batch.clips.index(feed.clips[0])]

    seen = [clip(few, epoch) for epoch in range(4)]
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
    two = StreamFeed(source=few.source, loader=LOADER, manifest="m", views=2)
    assert torch.equal(clip(two, 0), clip(two, 2))
    assert torch.equal(clip(two, 1), seen[1])


def test_items_are_what_the_loader_gives(few):
    batch = next(few.inorder(batch=7, view=4))
    slow = [LOADER.load(clip, [4])["mv"][0] for clip in few.source]
    assert torch.equal(batch.inputs, torch.stack(slow))


def test_the_generators_of_the_training_are_left_alone(few):
    """A DataLoader seeds its workers from torch's generator: dropout would come out otherwise."""
    before = torch.random.get_rng_state()
    list(few.inorder())
    next(replace_workers(few, 2).epoch(0, batch=4, seed=0))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_clip_that_fails_is_named_in_one_line(few, tmp_path, workers):
    path = tmp_path / "torn.avi"
    path.write_bytes(few.source[0].path.read_bytes()[:300])
    source = (*few.source[:3], replace(few.source[0], id="run/torn", path=path))
    feed = StreamFeed(source=source, loader=LOADER, manifest="m", workers=workers)
    with pytest.raises(VideoError, match=r"^clip run/torn: ") as caught:
        list(feed.inorder(batch=2))
    assert len(str(caught.value).splitlines()) == 1


def test_a_worker_that_dies_is_an_error_that_says_what_to_do(few, monkeypatch):
    monkeypatch.setattr(ClipLoader, "load", lambda *a: os._exit(7))
    with pytest.raises(RedistillError, match=r"one of 2 worker processes died.*use fewer workers"):
        list(replace_workers(few, 2).inorder(batch=2))


def test_the_manifest_holds_all_that_determines_the_pictures(small, split):
    """And decodes nothing: the files need not be there."""
    gone = replace(split, train=tuple(replace(c, path=c.path / "gone") for c in split.train))

    def manifests(split=gone, manifest="m", flip=False, views=None, **changes):
        feeds = open_streams(split, settings(**changes), flip=flip, manifest=manifest, views=views)
        return feeds.train["mv"].manifest, feeds.val["mv"].manifest

    base = manifests()
    assert base == manifests(split) == manifests(workers=2) == manifests(views=None)
    assert (
        len(
            {
                base[0],
                base[1],
                open_streams(gone, SETTINGS, flip=False, manifest="m").train["residual"].manifest,
            }
        )
        == 3
    )
    relabelled = replace(gone, train=tuple(replace(c, label=0) for c in gone.train))
    shorter = replace(gone, train=gone.train[1:])
    for other in (relabelled, shorter):
        assert (manifests(other)[0] != base[0], manifests(other)[1]) == (True, base[1])
    for changes in ({"seed": 1}, {"flip": True}, {"views": 2}):
        assert (manifests(**changes)[0] != base[0], manifests(**changes)[1]) == (True, base[1])
    for changes in ({"manifest": "n"}, {"size": 40}, {"segments": 3}):
        assert all(a != b for a, b in zip(manifests(**changes), base, strict=True))


def test_a_set_is_streamed_when_the_config_says_so(small, split):
    feeds = open_feeds(split, SETTINGS, flip=False, manifest=small.manifest)
    assert all(isinstance(feed, StreamFeed) for feed in feeds.train.values())
    assert (feeds.test["mv"].labels == -1).all()
    assert split.test.reads == 0
    truth = {clip.id: clip.label for clip in small.clips}
    assert feeds.open_test("the end").tolist() == [truth[name] for name in feeds.test["mv"].clips]
    with pytest.raises(ConfigError, match="manifest"):
        open_feeds(split, SETTINGS, flip=False)


@pytest.mark.parametrize("wrong", [{"views": 0}, {"loader": ClipLoader(size=32, train=True)}])
def test_impossible_streams_are_refused(split, wrong):
    with pytest.raises(ConfigError, match="one modality, and at least 1 view"):
        StreamFeed(**{"source": split.train, "loader": LOADER, "manifest": "m"} | wrong)


def _real_clips(shared_data, folder):
    """Originals of UCF-101 and HMDB-51, prepared as a whole set is."""
    (folder / "source").mkdir()
    for name in ("v_Basketball_g01_c01.avi", "RATRACE_wave_f_nm_np1_fr_goo_37.avi"):
        (folder / "source" / name).symlink_to(shared_data / "clips" / name)
    made = prepare(folder / "source", folder / "ready", workers=0)
    assert not made.refused
    return tuple(Clip(e.target, folder / "ready" / e.target, 7, "") for e in made.entries)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["synthetic", "real"])
def test_full_size_networks_take_a_training_step_on_a_stream(
    where, split, cache, tmp_path, request
):
    """ResNet-50 on I-frames, ResNet-18 on motion and residual, 224 pixels, 101 classes."""
    clips = split.train[:2]
    if where == "real":
        clips = _real_clips(request.getfixturevalue("shared_data"), tmp_path)
    phase = Phase(name="full", steps=1, batch=2, lr=1e-3, weight_decay=0.0, seed=0)
    for modality, depth in (("iframe", 50), ("mv", 18), ("residual", 18)):
        loader = ClipLoader(size=224, train=True, segments=3, modalities=(modality,), flip=True)
        feed = StreamFeed(source=clips, loader=loader, manifest="full", workers=2)
        net = build_stream(modality, depth=depth, width=64, classes=101, seed=0)
        before = net.net.conv1.weight.detach().clone()
        trained = run_phase(phase, net, feed)
        assert 3 < trained.journal[0]["loss"] < 8  # ln 101 = 4.6 at chance
        assert not torch.equal(before, trained.net.net.conv1.weight)
