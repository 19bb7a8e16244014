"""Whole frames on a uniform grid: which frames, the right pixels, one draw for a clip."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_clips import lively, write

from redistill.errors import ConfigError
from redistill.feeds import check_room, open_feeds
from redistill.modality import CHANNELS, INPUTS, MODALITIES, PICTURES, RGB
from redistill.video import load_clip, read_gops, segment_positions
from redistill.video.bank import bank
from redistill.video.clips import ClipDataset, ClipLoader
from redistill.video.colour import jitter
from redistill.video.sampling import grid_positions
from redistill.video.scaling import scale, to_bytes
from redistill.video.sealed import SealedClips
from redistill.video.splits import Clip, Split

LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


class Fixed:
    """A generator whose offset is given, and which counts how often it is asked."""

    def __init__(self, offset):
        self.offset, self.asked = offset, 0

    def random(self):
        self.asked += 1
        return self.offset


# Which frames.


@pytest.mark.parametrize(
    ("lengths", "frames", "offset", "wanted"),
    [
        # 12 frames, 4 wanted: at 1.5, 4.5, 7.5, 10.5
        ((12,), 4, None, [(0, 1), (0, 4), (0, 7), (0, 10)]),
        ((12,), 4, 0.0, [(0, 0), (0, 3), (0, 6), (0, 9)]),
        ((12,), 4, 0.99, [(0, 2), (0, 5), (0, 8), (0, 11)]),
        # GOPs of unlike lengths: 10 frames, at 1, 3, 5, 7, 9
        ((3, 1, 4, 2), 5, None, [(0, 1), (1, 0), (2, 1), (2, 3), (3, 1)]),
        # a clip shorter than the grid repeats frames: at 0.25, 0.75, 1.25, 1.75 and so on
        ((3,), 6, None, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 2), (0, 2)]),
        ((1, 1), 5, None, [(0, 0), (0, 0), (1, 0), (1, 0), (1, 0)]),
        ((1,), 2, 0.7, [(0, 0), (0, 0)]),
        # no frame is avoided for being an I-frame
        ((2, 2, 2), 6, None, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]),
    ],
)
def test_frames_counted_by_hand(lengths, frames, offset, wanted):
    rng = None if offset is None else Fixed(offset)
    assert grid_positions(lengths, frames=frames, rng=rng) == wanted
    assert segment_positions(lengths, RGB, segments=frames, rng=rng) == wanted


@given(lengths=LENGTHS, frames=st.integers(1, 20), offset=st.none() | st.floats(0, 0.999))
def test_every_frame_exists_and_is_where_the_rule_puts_it(lengths, frames, offset):
    places = grid_positions(lengths, frames=frames, rng=None if offset is None else Fixed(offset))
    shift, n = 0.5 if offset is None else offset, sum(lengths)
    assert len(places) == frames
    for i, (gop, pos) in enumerate(places):
        assert 0 <= pos < lengths[gop]
        place = sum(lengths[:gop]) + pos
        assert place <= (i + shift) * n / frames + 1e-9 < place + 1 + 2e-9
    steps = np.diff([sum(lengths[:gop]) + pos for gop, pos in places])
    assert not len(steps) or steps.max() - steps.min() <= 1  # one distance, up to rounding
    assert frames < n or set(places) == {(g, p) for g, k in enumerate(lengths) for p in range(k)}


def test_a_clip_has_one_offset():
    rng = Fixed(0.3)
    grid_positions((12, 12, 2), frames=16, rng=rng)
    assert rng.asked == 1


@pytest.mark.parametrize("frames", [2, 8, 16, 64])
def test_the_largest_offset_stays_inside_the_clip(frames):
    """The largest double below one: a sum with it rounds up to a whole number."""
    places = grid_positions((12, 12, 2), frames=frames, rng=Fixed(math.nextafter(1, 0)))
    assert places[-1] == (2, 1)


def test_offsets_are_uniform_over_the_clip():
    rng = np.random.default_rng(0)
    seen = [grid_positions((12,), frames=3, rng=rng)[0][1] for _ in range(4000)]
    counts = np.bincount(seen, minlength=4)
    assert counts.sum() == 4000
    assert abs(counts - 1000).max() < 4 * math.sqrt(1000)


def test_no_frame_is_refused():
    with pytest.raises(ConfigError, match="segments is 0; expected at least 1"):
        grid_positions((12,), frames=0)


# The right pixels.


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rgb")
    clips = []
    for number, (name, frames) in enumerate((("a.avi", 26), ("b.mp4", 17), ("c.avi", 5))):
        path = write(folder / name, lively(frames, width=64, height=48))
        clips.append(Clip(name, path, number, f"group {number}"))
    return tuple(clips)


@pytest.mark.parametrize("frames", [4, 8, 30])
def test_frames_are_those_that_reading_the_gops_gives(clips, frames):
    for clip in clips:
        lengths = [len(gop) for gop in read_gops(clip.path)]
        whole = np.stack(
            [gop.frame(p).copy() for gop in read_gops(clip.path) for p in range(len(gop))]
        )
        got = load_clip(clip.path, segments=frames, modalities=(RGB,))[RGB]
        assert got.dtype == np.uint8
        wanted = [int((i + 0.5) * sum(lengths) / frames) for i in range(frames)]
        assert np.array_equal(got, whole[wanted])


def test_whole_frames_change_no_other_modality(clips):
    for clip in clips[:2]:
        alone = load_clip(clip.path)
        beside = load_clip(clip.path, modalities=(*MODALITIES, RGB))
        assert set(beside) == {*MODALITIES, RGB}
        for modality in MODALITIES:
            assert np.array_equal(alone[modality], beside[modality])
        assert np.array_equal(beside[RGB], load_clip(clip.path, modalities=(RGB,))[RGB])


def test_motion_is_the_default_and_whole_frames_are_not():
    assert MODALITIES == ("iframe", "mv", "residual")
    assert RGB not in CHANNELS
    assert INPUTS[RGB] == 3
    assert PICTURES == ("iframe", RGB)


def test_whole_frames_are_scaled_as_pictures():
    x = torch.randint(0, 256, (2, 3, 5, 5), generator=torch.Generator().manual_seed(0))
    x = x.to(torch.uint8)
    assert torch.equal(scale(x, RGB), scale(x, "iframe"))
    assert to_bytes(x.numpy(), RGB) is not None
    assert np.array_equal(to_bytes(x.numpy(), RGB), x.numpy())


# Views.

TRAIN = ClipLoader(size=32, train=True, flip=True, seed=3, modalities=(RGB,), segments=6)


@pytest.mark.parametrize("train", [True, False])
def test_workers_change_no_number(clips, train):
    data = ClipDataset(clips, replace(TRAIN, train=train), views=3 if train else None)
    here, there = bank(data, workers=0), bank(data, workers=2)
    assert here.views[RGB].shape == (3 if train else 1, 3, 6, 3, 32, 32)
    assert torch.equal(here.views[RGB], there.views[RGB])
    assert torch.equal(here.views[RGB][0, 1], data[1][RGB])


def test_colours_shift_alike_in_all_frames():
    """A still clip stays still: colours that flicker would be a motion of their own."""
    frame = torch.randint(0, 256, (1, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    still = frame.to(torch.uint8).expand(5, -1, -1, -1)
    moved = jitter(still, np.random.default_rng(1), alike=True)
    assert all(torch.equal(moved[0], other) for other in moved)
    assert not torch.equal(moved[0], still[0])
    assert torch.equal(moved[:1], jitter(still[:1], np.random.default_rng(1)))
    apart = jitter(still, np.random.default_rng(1))
    assert not torch.equal(apart[0], apart[1])


def still_clip(folder, frames=12):
    picture = next(lively(1, width=64, height=48))
    path = write(folder / "still.avi", iter([picture] * frames))
    return Clip("still", path, 0, "still")


def test_a_still_clip_is_still_in_every_training_view(tmp_path):
    """One crop, one flip, one colour for all frames; the encoder adds at most a little noise."""
    clip = still_clip(tmp_path)
    data = ClipDataset([clip], replace(TRAIN, segments=4))
    views = []
    for epoch in range(6):
        data.set_epoch(epoch)
        x = data[0][RGB].int()
        assert (x - x[:1]).abs().float().mean() < 2
        views.append(x)
    assert max((a - b).abs().float().mean() for a in views for b in views) > 10


def test_a_loader_tells_the_jitter_to_treat_frames_alike_only_for_whole_frames(clips, monkeypatch):
    told = []
    monkeypatch.setattr(
        "redistill.video.clips.jitter", lambda x, rng, *, alike: told.append(alike) or x
    )
    for modality in (RGB, "iframe"):
        ClipDataset(clips[:1], replace(TRAIN, modalities=(modality,), segments=2))[0]
    assert told == [True, False]


# Feeds.

SETTINGS = SimpleNamespace(
    segments=4, size=32, views=2, seed=0, workers=0, on_bad="raise", stream=False
)


def test_feeds_hold_the_modality_asked_for_and_no_other(clips):
    split = Split("one", clips[:1], clips[1:2], SealedClips(clips[2:]))
    feeds = open_feeds(split, SETTINGS, flip=False, modalities=(RGB,))
    for side, views in (("train", 2), ("val", 1), ("test", 1)):
        found = getattr(feeds, side)
        assert set(found) == {RGB}
        assert found[RGB].modality == RGB
        assert found[RGB].views.shape == (views, 1, 4, 3, 32, 32)
    assert feeds.test[RGB].labels.tolist() == [-1]
    assert feeds.val_labels.tolist() == [1]
    assert feeds.open_test("the test").tolist() == [2]
    assert set(open_feeds(split, SETTINGS, flip=False).train) == set(MODALITIES)


def test_room_is_reckoned_for_the_modalities_asked_for():
    large = SimpleNamespace(**vars(SETTINGS) | {"views": 10**6, "size": 224})
    told = []
    for modalities in ((RGB,), MODALITIES):
        with pytest.raises(ConfigError) as error:
            check_room(10_000, 0, large, modalities=modalities)
        told.append(float(str(error.value).split("take ")[1].split()[0]))
    assert told[1] / told[0] == pytest.approx((3 + 2 + 3) / 3, rel=1e-3)
