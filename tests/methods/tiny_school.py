"""A fold of twelve tiny clips in memory, and a school that trains on it in milliseconds a step."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from redistill.feed import Feed
from redistill.feeds import Feeds
from redistill.methods import school as schools
from redistill.methods.label_quality import initial_labels
from redistill.methods.school import Learned, School
from redistill.methods.staged import Staged, train_staged
from redistill.methods.substage import SubstageConfig
from redistill.modality import RGB
from redistill.video.sealed import SealedClips
from redistill.video.splits import Clip, Split
from redistill.video.weak_labels import WeakLabels, weaken

CLIPS, CLASSES, FRAMES, SIDE = 12, 3, 4, 32
TINY = {
    "frames": FRAMES, "size": SIDE, "views": 2, "teacher_width": 7, "student_width": 2,
    "teacher_steps": 2, "steps": 2, "batch": 12, "label_frac": 0.5, "device": "cpu", "workers": 0,
}  # fmt: skip


def tiny_config(**changes: Any) -> SubstageConfig:
    return SubstageConfig(**TINY | changes)


def clips_of(side: str, count: int = CLIPS) -> tuple[Clip, ...]:
    return tuple(
        Clip(f"{side}{i:02d}", Path(f"{side}{i:02d}.avi"), i % CLASSES, f"{side} group {i}")
        for i in range(count)
    )


def rgb_feed(clips: tuple[Clip, ...], *, views: int, seed: int, sealed: bool = False) -> Feed:
    """Noise with a brightness of the class, which fewer labels than clips suffice to learn."""
    labels = torch.tensor([clip.label for clip in clips])
    shape = (views, len(clips), FRAMES, 3, SIDE, SIDE)
    noise = torch.as_tensor(np.random.default_rng(seed).integers(0, 120, shape))
    pictures = (noise + 60 * labels.view(1, -1, 1, 1, 1, 1)).to(torch.uint8)
    return Feed(
        views=pictures,
        modality=RGB,
        labels=torch.full_like(labels, -1) if sealed else labels,
        clips=tuple(clip.id for clip in clips),
        manifest=f"drawn {seed} {views} {len(clips)}",
    )


def tiny_feeds(views: int = 2) -> Feeds:
    train, val, test = clips_of("train"), clips_of("val", 6), clips_of("test", 6)
    return Feeds(
        train={RGB: rgb_feed(train, views=views, seed=1)},
        val={RGB: rgb_feed(val, views=1, seed=2)},
        test={RGB: rgb_feed(test, views=1, seed=3, sealed=True)},
        split=Split("drawn", train, val, SealedClips(test)),
        dropped=(),
    )


def tiny_weak(config: SubstageConfig) -> WeakLabels:
    return weaken(
        clips_of("train"),
        classes=CLASSES,
        mode=config.weak_mode,
        seed=config.seed,
        label_frac=config.label_frac,
        noise_rate=config.noise_rate,
    )


def tiny_school(**changes: Any) -> School:
    config = tiny_config(**changes)
    feeds, weak = tiny_feeds(config.views), tiny_weak(config)
    return School(
        config=config, train=feeds.train[RGB], feeds=feeds, weak=weak, classes=CLASSES, device="cpu"
    )


def taught(school: School) -> Learned:
    labels = initial_labels(school.weak, school.classes)
    return school.teacher(school.taught(labels, pool=labels.w.nonzero()[:, 0]))


def trained(**changes: Any) -> tuple[School, Staged]:
    school = tiny_school(**changes)
    return school, train_staged(school, taught(school))


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def quicken(monkeypatch: Any, cache: Path) -> None:
    """Use a cache of the test's own; sync no file and count each shape of network once."""
    counted: dict[tuple[Any, ...], Any] = {}
    count = schools.count

    def once(net: nn.Module, shape: tuple[int, ...]) -> Any:
        key = shape, repr(net)
        counted[key] = counted.get(key) or count(net, shape)
        return counted[key]

    torch.set_num_threads(1)
    monkeypatch.setattr(schools, "count", once)
    monkeypatch.setattr("redistill.files.os.fsync", lambda handle: None)
    monkeypatch.setenv("REDISTILL_CACHE", str(cache))


def recorded(monkeypatch: Any) -> list[SimpleNamespace]:
    """Record what each student is trained with, in order: feed, loss, start, first weights."""
    seen: list[SimpleNamespace] = []
    student, run = School.student, School.run

    def watch(self: School, feed: Any, loss: Any, **how: Any) -> Learned:
        seen.append(SimpleNamespace(feed=feed, loss=loss, start=how.get("start"), first=None))
        return student(self, feed, loss, **how)

    def watch_run(self: School, name: str, module: Any, *args: Any, **how: Any) -> Learned:
        if name == "edge":
            seen[-1].first = weights(module.net)
        return run(self, name, module, *args, **how)

    monkeypatch.setattr(School, "student", watch)
    monkeypatch.setattr(School, "run", watch_run)
    return seen
