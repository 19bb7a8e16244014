import gc
from dataclasses import replace

import pytest
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from torch.utils.data import DataLoader

from redistill.errors import ConfigError, VideoError
from redistill.modality import CHANNELS
from redistill.video import load_clip
from redistill.video.bank import bank
from redistill.video.clips import ClipDataset, ClipLoader
from redistill.video.scaling import to_bytes
from redistill.video.transforms import centre_view

TRAIN = ClipLoader(size=28, train=True, flip=True, seed=3)
TEST = ClipLoader(size=28, train=False)


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(torch.as_tensor(a[k]), torch.as_tensor(b[k])) for k in a
    )


@pytest.fixture
def clips(small):
    return small.split().train[:6]


def test_items_have_the_promised_shape(clips):
    item = ClipDataset(clips, TRAIN)[4]
    for modality, channels in CHANNELS.items():
        assert item[modality].shape == (3, channels, 28, 28)
        assert item[modality].dtype == torch.uint8
    assert (item["label"], item["index"]) == (clips[4].label, 4)


def test_test_items_are_centres_without_any_draw(clips):
    data = ClipDataset(clips, TEST)
    item = data[0]
    raw = load_clip(clips[0].path)
    for modality in CHANNELS:
        x = torch.from_numpy(to_bytes(raw[modality], modality)).permute(0, 3, 1, 2)
        assert torch.equal(item[modality], centre_view(x, size=28))
    data.set_epoch(5)
    assert same(data[0], item)
    assert same(ClipDataset(clips, replace(TEST, seed=9, flip=True))[0], item)


def test_training_items_change_with_epoch_and_seed_and_return_with_their_view(clips):
    data = ClipDataset(clips, TRAIN, views=2)
    first = data[0]
    data.set_epoch(1)
    second = data[0]
    data.set_epoch(2)
    assert same(data[0], first)
    assert not same(first, second)
    assert not same(ClipDataset(clips, replace(TRAIN, seed=4))[0], first)
    # An item does not depend on what else is loaded.
    alone = ClipDataset(clips[:1], replace(TRAIN, modalities=("mv",)))[0]
    assert torch.equal(alone["mv"], first["mv"])


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_change_nothing_and_see_the_epoch(clips, persistent):
    data = ClipDataset(clips, TRAIN)
    here = DataLoader(data, batch_size=3)
    there = DataLoader(data, batch_size=3, num_workers=2, persistent_workers=persistent)
    for epoch in (0, 7):
        data.set_epoch(epoch)
        for a, b in zip(here, there, strict=True):
            assert same(a, b)
    resumed = ClipDataset(clips, TRAIN)
    resumed.set_epoch(7)
    assert same(resumed[2], data[2])


def test_one_crop_is_shared_by_all_modalities_unless_told_otherwise(clips, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "redistill.video.clips.apply_view",
        lambda x, view, *, size, modality: seen.append(view) or x[..., :size, :size],
    )
    for shared in (True, False):
        seen.clear()
        data = ClipDataset(clips, replace(TRAIN, shared_crop=shared))
        for index in range(6):
            data[index]
        alike = [len(set(seen[i : i + 3])) == 1 for i in range(0, 18, 3)]
        assert all(alike) == shared


@pytest.mark.parametrize("workers", [0, 2])
def test_the_bank_is_the_data_set_bit_for_bit(clips, workers):
    data = ClipDataset(clips, TRAIN, views=3)
    seen = []
    held = bank(data, workers=workers, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]
    assert held.nbytes == 3 * 6 * 3 * 8 * 28 * 28
    assert held.labels.tolist() == [clip.label for clip in clips]
    for epoch in (0, 2, 4):
        data.set_epoch(epoch)
        batch = held.batch([4, 1], epoch)
        for modality in CHANNELS:
            assert torch.equal(batch[modality], torch.stack([data[i][modality] for i in (4, 1)]))


def test_a_bank_of_sealed_clips_has_no_labels(small):
    held = bank(ClipDataset(small.split().test.clips[:2], TEST))
    assert held.labels.tolist() == [-1, -1]
    assert held.views["mv"].shape == (1, 2, 3, 2, 28, 28)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_clip_is_never_a_black_one(clips, tmp_path, workers):
    bad = tmp_path / "bad.avi"
    bad.write_bytes(clips[1].path.read_bytes()[:20000])
    data = ClipDataset([clips[0], replace(clips[1], path=bad), clips[2]], TEST)
    with pytest.raises(VideoError, match=r"bad.avi"):
        bank(data, workers=workers)
    held = bank(data, workers=workers, on_bad="drop")
    assert [c.id for c in held.clips] == [clips[0].id, clips[2].id]
    assert held.dropped[0][0] == clips[1].id
    assert torch.equal(held.batch([1], 0)["mv"][0], data[2]["mv"])
    with pytest.raises(VideoError, match="none of 1 clips"):
        bank(ClipDataset([data.clips[1]], TEST), on_bad="drop")


def test_a_scaler_with_threads_in_the_parent_does_not_hang_the_workers(clips):
    frame = VideoFrame(112, 112, "yuv420p")
    for _ in range(3):
        scaler = VideoReformatter()
        scaler.reformat(frame, 56, 56, "rgb24", threads=2)
        ring = [scaler]
        ring.append(ring)
    del scaler, ring
    gc.disable()
    try:
        assert len(bank(ClipDataset(clips, TEST), workers=2)) == 6
    finally:
        gc.enable()


def test_impossible_loaders_are_refused(clips):
    for wrong in ({"size": 4}, {"segments": 0}, {"modalities": ()}):
        with pytest.raises(ConfigError):
            replace(TRAIN, **wrong)
    with pytest.raises(ConfigError, match="flow"):
        replace(TRAIN, modalities=("flow",))
    with pytest.raises(ConfigError, match="views"):
        ClipDataset(clips, TEST, views=2)
    with pytest.raises(ConfigError, match="views"):
        bank(ClipDataset(clips, TRAIN))
