"""A fold of notebook 4 on drawn clips: what is decoded is noise with a brightness of the class."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from redistill.feeds import Feeds, open_feeds
from redistill.methods import flatness_study
from redistill.methods.flatness import FlatnessConfig
from redistill.methods.flatness_study import Flatness, study_fold
from redistill.methods.solutions import spread
from redistill.modality import CHANNELS
from redistill.video.bank import ViewBank
from redistill.video.clips import ClipDataset
from redistill.video.keyed import below
from redistill.video.scaling import scale
from redistill.video.sealed import SealedClips
from redistill.video.splits import Clip, Split

CLASSES, SEGMENTS, SIDE, CENTRE = 3, 2, 32, -1
ARMS = ("ce", "pkd")
SMALL = {
    "segments": SEGMENTS, "size": SIDE, "views": 2, "depth": 10, "depth_iframe": 18, "width": 2,
    "steps": 4, "ic_steps": 4, "batch": 16, "lr": 0.02, "arms": ARMS, "rungs": (0.25, 0.5),
    "sample": 12, "hessian_clips": 9, "hessian_batch": 5, "top": 2, "probes": 4,
    "density_steps": 5, "density_probes": 2, "grid": 3, "directions": 2,
    "device": "cpu", "workers": 0,
}  # fmt: skip


def small_config(**changes: Any) -> FlatnessConfig:
    return FlatnessConfig(**SMALL | changes)


def clips_of(side: str, count: int) -> tuple[Clip, ...]:
    return tuple(
        Clip(f"{side}{i:02d}", Path(f"{side}{i:02d}.avi"), i % CLASSES, f"{side} group {i}")
        for i in range(count)
    )


TRAIN, VAL, TEST = clips_of("train", 16), clips_of("val", 6), clips_of("test", 6)


def picture(clip: str, modality: str, view: int) -> Tensor:
    """What a clip shows, uint8 (S, C, h, w); no two clips, modalities or views are alike."""
    seeded = torch.Generator().manual_seed(below(1 << 31, clip, modality, view))
    shape = SEGMENTS, CHANNELS[modality], SIDE, SIDE
    noise = torch.randint(0, 150, shape, generator=seeded)
    return (noise + 50 * (int(clip[-2:]) % CLASSES)).to(torch.uint8)


def drawn_bank(dataset: ClipDataset, *, workers: int = 0, on_bad: str = "raise", progress=None):
    """In place of ``redistill.video.bank.bank``: the loader says which views."""
    views = range(dataset.views) if dataset.loader.train else [CENTRE]
    held = {
        modality: torch.stack(
            [torch.stack([picture(clip.id, modality, v) for clip in dataset.clips]) for v in views]
        )
        for modality in dataset.loader.modalities
    }
    labels = torch.tensor([clip.label for clip in dataset.clips])
    return ViewBank(clips=dataset.clips, labels=labels, views=held)


def quicken(monkeypatch: Any, folder: Path) -> None:
    """Draw what would be decoded, sync no file, and use a cache of the test's own."""
    torch.set_num_threads(1)
    monkeypatch.setattr("redistill.feeds.bank", drawn_bank)
    monkeypatch.setattr("redistill.files.os.fsync", lambda handle: None)
    monkeypatch.setenv("REDISTILL_CACHE", str(folder))


def small_feeds(config: FlatnessConfig) -> Feeds:
    return open_feeds(Split("drawn", TRAIN, VAL, SealedClips(TEST)), config, flip=False)


def sample_of(config: FlatnessConfig) -> tuple[Clip, ...]:
    return spread(TRAIN, config.sample, seed=config.seed)


def shown(clips: Sequence[Clip], modality: str) -> Tensor:
    """What a network takes of clips in the middle view."""
    return scale(torch.stack([picture(clip.id, modality, CENTRE) for clip in clips]), modality)


def silent() -> SimpleNamespace:
    return SimpleNamespace(epoch=lambda name, line: None, say=lambda text: None)


def study_of(config: FlatnessConfig, feeds: Feeds | None = None) -> Flatness:
    feeds = feeds or small_feeds(config)
    return study_fold(config, feeds, 0, classes=CLASSES, device="cpu", line=silent())


@cache
def small_study() -> Flatness:
    """One for all tests; none may change it."""
    return study_of(small_config())


@cache
def unmeasured_study() -> Flatness:
    """The same without its sharpness, which takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flatness_study, "_measured", lambda *about: {})
        return study_of(small_config())
