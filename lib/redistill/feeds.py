"""From the split of a data set to the feeds of its networks: decoded once, or as needed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psutil
import torch

from redistill.errors import ConfigError
from redistill.feed import Feed
from redistill.files import sha256_json
from redistill.hashes import sha256_tensors
from redistill.modality import INPUTS, MODALITIES
from redistill.stream_feed import StreamFeed, stream_manifest
from redistill.video.bank import ViewBank, bank
from redistill.video.clips import ClipDataset, ClipLoader
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
        test: modality to test clips, the views of the protocol, labels sealed (-1).
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
    flip: bool | tuple[int, ...],
    modalities: tuple[str, ...] = MODALITIES,
    manifest: str = "",
    protocol: str = "1x1",
    sampling: str = "grid",
    say: Callable[[str], None] = lambda text: None,
) -> Feeds:
    """Decode all views of all clips of a fold into memory, or stream them if so set.

    Args:
        split: the clips.
        settings: segments, size, views, seed, workers, on_bad, stream.
        flip: of the catalogue: whether training may mirror a clip, and what labels become.
        modalities: to decode.
        manifest: of the catalogue; a stream needs it.
        protocol: views of a test clip, "<offsets>x<crops>"; more than "1x1" is for rgb alone.
        sampling: of rgb in training, "grid" or "segments".
        say: told how far it is.

    Raises:
        ConfigError: the views would not fit into the free memory.
        VideoError: a clip fails to decode, unless dropped.
    """
    ways = {"flip": flip, "modalities": modalities, "protocol": protocol, "sampling": sampling}
    if settings.stream:
        return open_streams(split, settings, manifest=manifest, **ways)
    sizes = len(split.train), len(split.val)
    check_room(
        *sizes, settings, modalities=modalities, test=len(split.test.clips), protocol=protocol
    )
    parts, dropped = {}, ()
    for name, clips in _sides(split):
        loader = _loader(name, settings, **ways)
        views = settings.views if name == "train" else loader.views
        pictures = bank(
            ClipDataset(clips, loader, views=views),
            workers=settings.workers,
            on_bad=settings.on_bad,
            progress=lambda done, total, name=name: say(f"decoding {name}: {done} of {total}"),
        )
        dropped += pictures.dropped
        parts[name] = _by_modality(pictures, loader)
    return Feeds(**parts, split=split, dropped=dropped)


def centred(
    clips: Sequence[Clip], settings: Settings, *, modalities: tuple[str, ...] = MODALITIES
) -> dict[str, Feed]:
    """Return clips as validation clips are seen, in the middle and unmirrored, by modality."""
    loader = _loader("val", settings, flip=False, modalities=modalities)
    pictures = bank(
        ClipDataset(clips, loader, views=1), workers=settings.workers, on_bad=settings.on_bad
    )
    return _by_modality(pictures, loader)


def open_streams(
    split: Split,
    settings: Settings,
    *,
    flip: bool | tuple[int, ...],
    manifest: str,
    modalities: tuple[str, ...] = MODALITIES,
    views: int | None = None,
    protocol: str = "1x1",
    sampling: str = "grid",
) -> Feeds:
    """Return feeds that decode as they are read; nothing is decoded here.

    Args:
        split: the clips.
        settings: segments, size, seed, workers; views and on_bad do not count (``StreamFeed``).
        flip: of the catalogue: whether training may mirror a clip, and what labels become.
        manifest: of the catalogue.
        modalities: to decode.
        views: of a training clip, drawn in turn; None draws a new one every epoch, as the papers.
        protocol: views of a test clip, as ``open_feeds``.
        sampling: of rgb in training.

    Raises:
        ConfigError: no manifest, without which a finished phase could not be told from another.
    """
    if not manifest:
        raise ConfigError("streamed clips need manifest = the catalogue's; none is given")
    parts: dict[str, dict[str, StreamFeed]] = {}
    ways = {"flip": flip, "protocol": protocol, "sampling": sampling}
    for name, clips in _sides(split):
        for modality in modalities:
            loader = _loader(name, settings, modalities=(modality,), **ways)
            count = views if name == "train" else loader.views
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


def _loader(
    side: str,
    settings: Settings,
    *,
    flip: bool | tuple[int, ...],
    modalities: tuple[str, ...],
    protocol: str = "1x1",
    sampling: str = "grid",
) -> ClipLoader:
    return ClipLoader(
        size=settings.size,
        train=side == "train",
        modalities=modalities,
        segments=settings.segments,
        seed=settings.seed,
        flip=flip,
        sampling=sampling if side == "train" else "grid",
        protocol=protocol if side == "test" else "1x1",
    )


def check_room(
    train: int,
    val: int,
    settings: Settings,
    *,
    modalities: tuple[str, ...] = MODALITIES,
    test: int = 0,
    protocol: str = "1x1",
) -> None:
    """Raise ConfigError if the views of so many clips would not fit into the free memory."""
    loader = ClipLoader(size=settings.size, train=False, modalities=modalities, protocol=protocol)
    pixels = (
        train * settings.views + val
    ) * settings.size**2 + test * loader.views * loader.side**2
    need = pixels * settings.segments * sum(INPUTS[m] for m in modalities)
    free = psutil.virtual_memory().available
    if need > 0.8 * free:
        tested = f" and {protocol} views of {test} test clips" if loader.views > 1 else ""
        raise ConfigError(
            f"parameter views = {settings.views}: the views of {train} clips{tested} take "
            f"{need / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free; set stream = "
            f"True (decodes as it trains), or lower views, size (now {settings.size}) or segments "
            f"(now {settings.segments})"
        )


def _by_modality(pictures: ViewBank, loader: ClipLoader) -> dict[str, Feed]:
    names = tuple(clip.id for clip in pictures.clips)
    labels = pictures.labels
    feeds = {}
    for modality, views in pictures.views.items():
        parts, turning = [sha256_tensors([views]), labels.tolist(), names], {}
        if loader.train and isinstance(loader.flip, tuple):
            mirrored = [[loader.mirrors(name, v) for name in names] for v in range(len(views))]
            turning = {"mirrored": torch.tensor(mirrored), "swap": loader.flip}
            parts += [mirrored, loader.flip]
        feeds[modality] = Feed(
            views=views,
            modality=modality,
            labels=labels,
            clips=names,
            manifest=sha256_json(parts),
            **turning,
        )
    return feeds
