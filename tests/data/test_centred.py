"""Training clips as validation clips are seen: what a loss over fixed clips is taken of."""

from types import SimpleNamespace

import pytest
import torch

from redistill.feeds import centred, open_feeds
from redistill.modality import CHANNELS
from redistill.video.clips import ClipLoader

SETTINGS = SimpleNamespace(
    segments=2, size=32, views=2, seed=0, workers=0, on_bad="raise", stream=False
)


@pytest.fixture
def split(small):
    return small.split(0)


def test_a_clip_is_seen_as_the_validation_feed_sees_it(split):
    feeds = open_feeds(split, SETTINGS, flip=True)
    found = centred(split.val, SETTINGS)
    assert set(found) == set(CHANNELS)
    for modality, feed in found.items():
        assert torch.equal(feed.views, feeds.val[modality].views)
        assert torch.equal(feed.labels, feeds.val[modality].labels)
        assert feed.clips == feeds.val[modality].clips
        assert feed.manifest == feeds.val[modality].manifest


def test_training_clips_are_seen_in_the_middle_and_in_the_order_given(split):
    """Against a loader that draws nothing; no seed and no number of views changes a picture."""
    clips = split.train[::-2]
    found = centred(clips, SimpleNamespace(**vars(SETTINGS) | {"seed": 5, "views": 7}))
    plain = ClipLoader(size=32, train=False, segments=2, seed=99)
    for number, clip in enumerate(clips):
        for modality, views in plain.load(clip, [0]).items():
            assert found[modality].views.shape[0] == 1
            assert torch.equal(found[modality].views[:, number], views)
    for feed in found.values():
        assert feed.clips == tuple(clip.id for clip in clips)
        assert feed.labels.tolist() == [clip.label for clip in clips]
        assert feed.mirrored is None


def test_only_the_modalities_asked_for_are_decoded(split):
    assert set(centred(split.val[:1], SETTINGS, modalities=("mv",))) == {"mv"}
