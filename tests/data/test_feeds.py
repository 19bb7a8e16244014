"""Feeds of a fold: what training, validation and test may see of each other."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from redistill.errors import ConfigError
from redistill.feeds import check_room, open_feeds
from redistill.modality import CHANNELS
from redistill.video.clips import ClipDataset, ClipLoader

SETTINGS = SimpleNamespace(
    segments=2, size=32, views=3, seed=0, workers=0, on_bad="raise", stream=False
)


@pytest.fixture
def split(small):
    return small.split(0)


@pytest.fixture
def feeds(split):
    return open_feeds(split, SETTINGS, flip=False)


def test_no_clip_is_on_two_sides_and_test_labels_are_sealed(small):
    split = small.split(0)
    feeds = open_feeds(split, SETTINGS, flip=False)
    sides = [set(getattr(feeds, side)["mv"].clips) for side in ("train", "val", "test")]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert (feeds.test["iframe"].labels == -1).all()
    assert (feeds.train["iframe"].labels >= 0).all()
    assert split.test.reads == 0


def test_opening_the_test_labels_is_counted(small):
    split = small.split(0)
    feeds = open_feeds(split, SETTINGS, flip=False)
    labels = feeds.open_test("the end")
    truth = {clip.id: clip.label for clip in small.clips}
    assert labels.tolist() == [truth[name] for name in feeds.test["mv"].clips]
    assert (split.test.reads, split.test.reasons) == (1, ["the end"])


@pytest.mark.parametrize("side", ["val", "test"])
def test_validation_and_test_see_the_centre_of_each_clip(split, feeds, side):
    """Against the loader itself in test mode, which draws nothing; another seed changes nothing."""
    clips = split.val if side == "val" else split.test.clips
    plain = ClipDataset(clips, ClipLoader(size=32, train=False, segments=2, seed=99))
    for modality in CHANNELS:
        feed = getattr(feeds, side)[modality]
        assert len(feed.views) == 1
        assert torch.equal(feed.views[0, 1], plain[1][modality])


def test_training_sees_views_that_differ(feeds):
    assert len(feeds.train["mv"].views) == SETTINGS.views
    first, second = feeds.train["iframe"].views[:2]
    assert not torch.equal(first, second)


def test_the_manifest_is_the_content(split, feeds):
    """Another seed draws other pictures, which are another manifest; validation stays."""
    again = open_feeds(split, SETTINGS, flip=False)
    other = open_feeds(split, SimpleNamespace(**vars(SETTINGS) | {"seed": 1}), flip=False)
    for modality in CHANNELS:
        assert feeds.train[modality].manifest == again.train[modality].manifest
        assert feeds.train[modality].manifest != other.train[modality].manifest
        assert feeds.val[modality].manifest == other.val[modality].manifest
    relabelled = replace(split, train=tuple(replace(c, label=0) for c in split.train))
    changed = open_feeds(relabelled, SETTINGS, flip=False)
    assert changed.train["mv"].manifest != feeds.train["mv"].manifest


def test_views_beyond_the_memory_are_refused_before_decoding():
    large = SimpleNamespace(**vars(SETTINGS) | {"views": 10**6, "size": 224})
    with pytest.raises(
        ConfigError, match=r"parameter views = 1000000.*GiB are free; set stream = True"
    ):
        check_room(10_000, 100, large)
