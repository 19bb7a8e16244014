"""From the split of a data set to the feeds of its networks: decoded once, or as needed."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import psutil
import torch

from redistill.errors import ConfigError
from redistill.feed import Feed
from redistill.files import sha256_json
from redistill.modality import INPUTS, MODALITIES
from redistill.stream_feed import StreamFeed, stream_manifest
from redistill.video.clips import ClipDataset, ClipLoader, ViewBank, bank
from redistill.video.splits import Clip, Split


class Settings(Protocol):
    """What a config must say about pictures; see ``ProgressiveConfig``."""

    segments: int
    size: int
    views: int
    seed: int
    workers: int
    on_bad: str
    stream: bool


@dataclass(frozen=True)
class Feeds:
    """The clips of one fold, one feed a modality.

    Attributes:
        train: modality to training clips, random views of each.
        val: modality to validation clips, centre view.
        test: modality to test clips, centre view, labels sealed (-1).
        split: where the sealed labels are.
        dropped: (id, reason) of clips that failed to decode, under ``on_bad="drop"``.
    """

    train: Mapping[str, Feed | StreamFeed]
    val: Mapping[str, Feed | StreamFeed]
    test: Mapping[str, Feed | StreamFeed]
    split: Split = field(repr=False)
    dropped: tuple[tuple[str, str], ...]

    @property
    def val_labels(self) -> torch.Tensor:
        """Labels of the validation clips, int64 (N,)."""
        return next(iter(self.val.values())).labels

    def open_test(self, reason: str) -> torch.Tensor:
        """Read the sealed test labels, int64 (N,), and count the read."""
        kept = set(next(iter(self.test.values())).clips)
        labels = torch.as_tensor(self.split.test.open(reason))
        return labels[[clip.id in kept for clip in self.split.test.clips]]


def open_feeds(
    split: Split,
    settings: Settings,
    *,
    flip: bool,
    modalities: tuple[str, ...] = MODALITIES,
    manifest: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Feeds:
    """Decode all views of all clips of a fold into memory, or stream them if so set.

    Args:
        split: the clips.
        settings: segments, size, views, seed, workers, on_bad, stream.
        flip: whether training may mirror a clip.
        modalities: to decode.
        manifest: of the catalogue; a stream needs it.
        say: told how far it is.

    Raises:
        ConfigError: the views would not fit into the free memory.
        VideoError: a clip fails to decode, unless dropped.
    """
    if settings.stream:
        return open_streams(split, settings, flip=flip, modalities=modalities, manifest=manifest)
    check_room(
        len(split.train), len(split.val) + len(split.test.clips), settings, modalities=modalities
    )
    parts, dropped = {}, ()
    for name, clips in _sides(split):
        views = settings.views if name == "train" else 1
        pictures = bank(
            ClipDataset(clips, _loader(name, settings, flip, modalities), views=views),
            workers=settings.workers,
            on_bad=settings.on_bad,
            progress=lambda done, total, name=name: say(f"decoding {name}: {done} of {total}"),
        )
        dropped += pictures.dropped
        parts[name] = _by_modality(pictures)
    return Feeds(**parts, split=split, dropped=dropped)


def open_streams(
    split: Split,
    settings: Settings,
    *,
    flip: bool,
    manifest: str,
    modalities: tuple[str, ...] = MODALITIES,
    views: int | None = None,
) -> Feeds:
    """Return feeds that decode as they are read; nothing is decoded here.

    Args:
        split: the clips.
        settings: segments, size, seed, workers; views and on_bad do not count (``StreamFeed``).
        flip: whether training may mirror a clip.
        manifest: of the catalogue.
        modalities: to decode.
        views: of a training clip, drawn in turn; None draws a new one every epoch, as the papers.

    Raises:
        ConfigError: no manifest, without which a finished phase could not be told from another.
    """
    if not manifest:
        raise ConfigError("streamed clips need manifest = the catalogue's; none is given")
    parts: dict[str, dict[str, StreamFeed]] = {}
    for name, clips in _sides(split):
        count = views if name == "train" else 1
        for modality in modalities:
            loader = _loader(name, settings, flip, (modality,))
            parts.setdefault(name, {})[modality] = StreamFeed(
                source=clips,
                loader=loader,
                manifest=stream_manifest(manifest, clips, loader, views=count),
                views=count,
                workers=settings.workers,
            )
    return Feeds(**parts, split=split, dropped=())


def _sides(split: Split) -> tuple[tuple[str, tuple[Clip, ...]], ...]:
    return ("train", split.train), ("val", split.val), ("test", tuple(split.test.clips))


def _loader(side: str, settings: Settings, flip: bool, modalities: tuple[str, ...]) -> ClipLoader:
    return ClipLoader(
        size=settings.size,
        train=side == "train",
        modalities=modalities,
        segments=settings.segments,
        seed=settings.seed,
        flip=flip,
    )


def check_room(
    train: int, rest: int, settings: Settings, *, modalities: tuple[str, ...] = MODALITIES
) -> None:
    """Raise ConfigError if the views of so many clips would not fit into the free memory."""
    pixels = settings.segments * sum(INPUTS[m] for m in modalities) * settings.size**2
    need, free = (train * settings.views + rest) * pixels, psutil.virtual_memory().available
    if need > 0.8 * free:
        raise ConfigError(
            f"parameter views = {settings.views}: the views of {train} clips take "
            f"{need / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; set stream = "
            f"True (decodes as it trains), or lower views, size (now {settings.size}) or segments "
            f"(now {settings.segments})"
        )


def _by_modality(pictures: ViewBank) -> dict[str, Feed]:
    names = tuple(clip.id for clip in pictures.clips)
    labels = pictures.labels
    feeds = {}
    for modality, views in pictures.views.items():
        content = hashlib.sha256(views.contiguous().numpy())
        manifest = sha256_json([content.hexdigest(), labels.tolist(), names])
        feeds[modality] = Feed(
            views=views, modality=modality, labels=labels, clips=names, manifest=manifest
        )
    return feeds
