"""Batches decoded as they are needed, for sets whose views do not fit into memory."""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from redistill.errors import ConfigError, RedistillError, VideoError
from redistill.feed import Batch, shuffled, steps
from redistill.files import sha256_json
from redistill.source import source_hash
from redistill.video.clips import ClipLoader
from redistill.video.splits import Clip

AHEAD = 2  # batches that each worker keeps ready


@dataclass(frozen=True, kw_only=True)
class StreamFeed:
    """Clips of one modality with their labels, as ``redistill.feed.Feed`` has them, on disk.

    An item depends on its clip, the seed and the view alone, so a batch is the same with any
    number of workers and after a resume, and bit-equal to that of a Feed with the same views.

    A clip that fails to decode stops the epoch with its name.  It cannot be dropped there: the
    order of all clips, and so the meaning of a checkpoint, would change.  What a catalogue's probe
    refuses is dropped before (``on_bad``).

    Attributes:
        source: the clips, in order.
        loader: how they are loaded; one modality.
        manifest: hash of clips, labels, loader, views and the source that decodes them.
        views: the epoch's view is epoch % views; None draws new views for ever.
        workers: processes that decode ahead; 0 decodes in this one.
        modality: of the pictures.
        labels: (N,) int64, of unmirrored clips; a batch has those of its view (``loader.label``).
        clips: N names.
    """

    source: Sequence[Clip] = field(repr=False)
    loader: ClipLoader
    manifest: str
    views: int | None = None
    workers: int = 0
    modality: str = field(init=False)
    labels: Tensor = field(init=False, repr=False)
    clips: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a loader of several modalities, and impossible views."""
        if len(self.loader.modalities) != 1 or (self.views is not None and self.views < 1):
            raise ConfigError(
                f"a stream of modalities {self.loader.modalities} with views = {self.views}: give "
                "one modality, and at least 1 view or None"
            )
        object.__setattr__(self, "modality", self.loader.modalities[0])
        object.__setattr__(self, "labels", torch.tensor([clip.label for clip in self.source]))
        object.__setattr__(self, "clips", tuple(clip.id for clip in self.source))

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)

    def steps(self, batch: int) -> int:
        """Return the number of batches of an epoch."""
        return steps(len(self), batch)

    def epoch(self, epoch: int, *, batch: int, seed: int) -> Iterator[Batch]:
        """Yield every clip once, in the order that a Feed takes, in the view of the epoch."""
        view = epoch % self.views if self.views else epoch
        return self._batches(shuffled(len(self), epoch, batch=batch, seed=seed), view)

    def inorder(self, *, batch: int = 64, view: int = 0) -> Iterator[Batch]:
        """Yield every clip once, in the order of the catalogue, in one view."""
        return self._batches(torch.arange(len(self)).split(batch), view)

    def _batches(self, parts: Sequence[Tensor], view: int) -> Iterator[Batch]:
        items = _Items(self.source, self.loader, view)
        order = [part.tolist() for part in parts]
        batches = iter(DataLoader(items, batch_sampler=order, **_how(self.workers)))
        try:
            for part in parts:
                inputs = _next(batches, self.workers)
                if isinstance(inputs, str):
                    raise VideoError(inputs)
                shown = [self.source[place] for place in part.tolist()]
                yield Batch(
                    inputs=inputs,
                    modality=self.modality,
                    labels=torch.tensor([self.loader.label(clip, view) for clip in shown]),
                    clips=tuple(clip.id for clip in shown),
                )
        finally:
            del batches  # ends the workers now, not when a traceback is collected


def stream_manifest(
    catalogue: str, clips: Sequence[Clip], loader: ClipLoader, *, views: int | None
) -> str:
    """Return the hash of all that determines the pictures, without decoding them.

    Args:
        catalogue: manifest of the catalogue; it holds the hashes of the files.
        clips: of the feed, in order.
        loader: its settings count; the seed only where it draws.
        views: of the feed.
    """
    settings = asdict(loader) | ({} if loader.train else {"seed": None, "flip": None})
    decoder = [source_hash(ClipLoader.__module__), version("av"), torch.__version__]
    names = [[clip.id, clip.label] for clip in clips]
    return sha256_json([catalogue, settings, views, decoder, names])


@dataclass(frozen=True)
class _Items(Dataset):
    """One view of each clip: uint8 (S, C, size, size), or why it cannot be had."""

    clips: Sequence[Clip]
    loader: ClipLoader
    view: int

    def __getitem__(self, index: int) -> Tensor | str:
        clip = self.clips[index]
        try:
            (views,) = self.loader.load(clip, [self.view]).values()
        except VideoError as error:
            # An error raised in a worker would arrive with the worker's traceback as its text.
            return f"clip {clip.id}: {error}"
        # Other strides would make convolutions sum in another order, and end with other bits.
        return views[0].contiguous()


def _stack(items: Sequence[Tensor | str]) -> Tensor | str:
    return next((item for item in items if isinstance(item, str)), None) or torch.stack(items)


def _how(workers: int) -> Mapping[str, Any]:
    """Return the settings of the DataLoader."""
    shared = {
        "collate_fn": _stack,
        "num_workers": workers,
        "pin_memory": torch.cuda.is_available(),
        "generator": torch.Generator(),  # else it would draw from the one of the training
    }
    if not workers:
        return shared
    # As redistill.video.parallel: forking is cheap and works in a notebook, on Linux alone.
    start = "fork" if sys.platform == "linux" else "spawn"
    settings = {"prefetch_factor": AHEAD, "multiprocessing_context": start}
    return shared | settings | {"worker_init_fn": _settle}


def _settle(worker: int) -> None:
    """Leave alone what a forked process inherits; torch sets its own threads to one here."""
    gc.freeze()


def _next(batches: Iterator[Tensor | str], workers: int) -> Tensor | str:
    try:
        return next(batches)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise RedistillError(
            f"one of {workers} worker processes died, most often for want of memory or of shared "
            "memory (/dev/shm); use fewer workers (0 works in the main process)"
        ) from error
