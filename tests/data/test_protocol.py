"""Test protocols of several offsets and crops, and TSN sampling, against slow definitions."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from redistill.errors import ConfigError
from redistill.feeds import check_room, open_feeds
from redistill.modality import RGB
from redistill.video.clips import ClipDataset, ClipLoader
from redistill.video.protocol import read_protocol
from redistill.video.sampling import grid_positions
from redistill.video.sealed import SealedClips
from redistill.video.splits import Clip, Split
from redistill.video.transforms import centre_view, third_view

SETTINGS = SimpleNamespace(
    segments=4, size=28, views=2, seed=0, workers=0, on_bad="raise", stream=False
)
FRAMES = 37


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three clips of pictures of noise."""
    folder = tmp_path_factory.mktemp("noise")
    for clip in range(3):
        (folder / str(clip)).mkdir()
        for number in range(FRAMES):
            x = np.random.default_rng([clip, number]).integers(0, 256, (50, 71, 3))
            Image.fromarray(x.astype(np.uint8)).save(folder / str(clip) / f"{number}.png")
    return tuple(Clip(str(n), folder / str(n), n, str(n)) for n in range(3))


@cache
def picture(clip: Clip, number: int) -> torch.Tensor:
    with Image.open(clip.path / f"{number}.png") as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


def bilinear(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Half-pixel centres, edges repeated, by definition; x is (H, W)."""
    rows = np.clip((np.arange(height) + 0.5) * x.shape[0] / height - 0.5, 0, x.shape[0] - 1)
    columns = np.clip((np.arange(width) + 0.5) * x.shape[1] / width - 0.5, 0, x.shape[1] - 1)
    lines = np.stack([np.interp(columns, np.arange(x.shape[1]), line) for line in x])
    return np.stack([np.interp(rows, np.arange(x.shape[0]), line) for line in lines.T], 1)


@pytest.mark.parametrize(("height", "width"), [(50, 71), (71, 50), (32, 45), (40, 40), (20, 33)])
def test_three_crops_cover_the_longer_side(height, width):
    """Size 28: the short side becomes 32, the crops are 32 wide at start, middle and end."""
    plane = np.random.default_rng(1).integers(0, 256, (height, width)).astype(np.uint8)
    goal = [round(side * 32 / min(height, width)) for side in (height, width)]
    whole = bilinear(plane.astype(float), *goal)
    for which, share in enumerate((0, 0.5, 1)):
        got = third_view(torch.from_numpy(plane)[None, None], which, size=28)[0, 0].numpy()
        assert got.shape == (32, 32)
        top, left = (int((side - 32) * share) for side in goal)
        assert np.abs(got - whole[top : top + 32, left : left + 32]).max() <= 0.51


@pytest.mark.parametrize("offsets", [1, 2, 10])
def test_offsets_are_evenly_spread_over_a_segment(clips, offsets):
    loader = ClipLoader(
        size=28, train=False, modalities=(RGB,), segments=4, protocol=f"{offsets}x1"
    )
    assert (loader.views, loader.side) == (offsets, 28)
    views = loader.load(clips[0], range(offsets))[RGB]
    for j in range(offsets):
        places = [int((i + (j + 0.5) / offsets) * FRAMES / 4) for i in range(4)]
        wanted = torch.cat([picture(clips[0], place) for place in places])
        assert torch.equal(views[j], centre_view(wanted, size=28))


@pytest.mark.parametrize("stream", [False, True])
def test_feeds_hold_the_views_of_the_protocol(clips, stream):
    offsets, crops = 2, 3
    split = Split("one", clips[:1], clips[1:2], SealedClips(clips))
    settings = SimpleNamespace(**vars(SETTINGS) | {"stream": stream})
    feeds = open_feeds(split, settings, flip=False, modalities=(RGB,), manifest="m", protocol="2x3")
    test, val = feeds.test[RGB], feeds.val[RGB]
    if stream:
        assert (test.views, val.views) == (offsets * crops, 1)
    else:
        assert test.views.shape == (offsets * crops, 3, 4, 3, 32, 32)
        assert val.views.shape == (1, 1, 4, 3, 28, 28)
    for view in range(offsets * crops):
        (batch,) = test.inorder(view=view)
        assert batch.labels.tolist() == [-1] * 3
        j, which = divmod(view, crops)
        for place, clip in enumerate(clips):
            frames = [int((i + (j + 0.5) / offsets) * FRAMES / 4) for i in range(4)]
            wanted = torch.cat([picture(clip, n) for n in frames])
            assert torch.equal(batch.inputs[place], third_view(wanted, which, size=28))


def test_the_default_is_what_it_was(clips):
    split = Split("one", clips[:1], clips[1:2], SealedClips(clips[2:]))
    plain = open_feeds(split, SETTINGS, flip=False, modalities=(RGB,))
    told = open_feeds(split, SETTINGS, flip=False, modalities=(RGB,), protocol="1x1")
    many = open_feeds(split, SETTINGS, flip=False, modalities=(RGB,), protocol="2x3")
    for side in ("train", "val", "test"):
        manifests = [getattr(feeds, side)[RGB].manifest for feeds in (plain, told, many)]
        assert manifests[0] == manifests[1]
        assert (manifests[2] == manifests[0]) == (side != "test")
    item = ClipDataset(clips[2:], ClipLoader(size=28, train=False, modalities=(RGB,), segments=4))
    assert torch.equal(plain.test[RGB].views[0, 0], item[0][RGB])


def test_tsn_draws_each_frame_in_its_own_segment():
    seen = [
        [
            pos
            for _, pos in grid_positions((40,), frames=4, rng=np.random.default_rng(n), apart=True)
        ]
        for n in range(4000)
    ]
    x = np.array(seen)
    for segment in range(4):
        counts = np.bincount(x[:, segment] - 10 * segment, minlength=10)
        assert len(counts) == 10
        assert abs(counts - 400).max() < 4.5 * np.sqrt(400)
    within = x - 10 * np.arange(4)
    assert abs(np.corrcoef(within.T) - np.eye(4)).max() < 0.06  # the grid's would all be one
    plain = grid_positions((40,), frames=4)
    assert plain == grid_positions((40,), frames=4, apart=True) == [(0, p) for p in (5, 15, 25, 35)]


def test_sampling_reaches_training_and_nothing_else(clips):
    split = Split("one", clips[:1], clips[1:2], SealedClips(clips[2:]))
    grid, tsn = (
        open_feeds(split, SETTINGS, flip=False, modalities=(RGB,), sampling=sampling)
        for sampling in ("grid", "segments")
    )
    assert grid.train[RGB].manifest != tsn.train[RGB].manifest
    for side in ("val", "test"):
        assert getattr(grid, side)[RGB].manifest == getattr(tsn, side)[RGB].manifest
    loaders = [
        ClipLoader(size=28, train=True, modalities=(RGB,), segments=6, sampling=sampling)
        for sampling in ("grid", "segments")
    ]
    spread = []
    for loader in loaders:
        moments = [loader._sample("x", [view], (60,))[RGB] for view in range(200)]
        steps = np.diff([[pos for _, pos in one] for one in moments], axis=1)
        spread.append(steps.std())
    assert spread[0] == 0
    assert spread[1] == pytest.approx(10 / np.sqrt(6), rel=0.1)  # difference of two uniform draws


@pytest.mark.parametrize("text", ["", "1", "0x1", "2x2", "x3", "3x", "-1x3", "2x3x1", "1X1"])
def test_other_protocols_are_refused(text):
    with pytest.raises(ConfigError, match="'2x3' or '10x3'"):
        read_protocol(text)


def test_what_rgb_alone_has_is_refused_elsewhere(clips):
    for wrong in ({"protocol": "2x3"}, {"sampling": "segments"}):
        with pytest.raises(ConfigError, match="only 'rgb' alone"):
            ClipLoader(size=28, train=True, modalities=(RGB, "mv"), **wrong)
    with pytest.raises(ConfigError, match="'grid' or 'segments'"):
        ClipLoader(size=28, train=True, modalities=(RGB,), sampling="tsn")
    loader = ClipLoader(size=28, train=False, modalities=(RGB,), protocol="2x3")
    with pytest.raises(ConfigError, match="those of its protocol, 6"):
        ClipDataset(clips, loader, views=2)


def test_room_counts_the_views_of_the_test():
    large = SimpleNamespace(**vars(SETTINGS) | {"views": 1, "size": 224})
    told = []
    for protocol in ("1x1", "2x1", "10x3"):
        with pytest.raises(ConfigError) as error:
            check_room(1, 1, large, modalities=(RGB,), test=10**8, protocol=protocol)
        told.append(float(str(error.value).split("take ")[1].split()[0]))
    assert told[1] / told[0] == pytest.approx(2, rel=1e-3)
    assert told[2] / told[0] == pytest.approx(30 * (256 / 224) ** 2, rel=1e-3)
