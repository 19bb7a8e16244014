"""From clips to the tensors a network trains on: sampling, scaling, crops, and a bank of views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.utils.data import Dataset

from redistill.errors import ConfigError, VideoError
from redistill.modality import MODALITIES, PICTURES, RGB, check_modality
from redistill.video.colour import jitter
from redistill.video.gop import load_clip
from redistill.video.keyed import generator
from redistill.video.parallel import Progress, spread
from redistill.video.sampling import Position, segment_positions
from redistill.video.scaling import scale, to_bytes
from redistill.video.splits import Clip
from redistill.video.transforms import SCALES, SHARED_SCALES, apply_view, centre_view, draw_view

__all__ = ["ClipDataset", "ClipLoader", "ViewBank", "bank", "scale"]


@dataclass(frozen=True, kw_only=True)
class ClipLoader:
    """How a clip becomes tensors.

    Attributes:
        size: side of the network's input, in pixels.
        train: random segments, crops, flips and colours of pictures; else segment centres and
            the centre crop.
        modalities: which to load.
        segments: parts of the clip that are looked at.
        seed: of every draw, together with the view, the clip's id and the modality.
        flip: whether training may mirror (the catalogue's ``flip``).
        shared_crop: one crop and flip for all modalities of an item; else one for each.
    """

    size: int
    train: bool
    modalities: tuple[str, ...] = MODALITIES
    segments: int = 3
    seed: int = 0
    flip: bool = False
    shared_crop: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        for modality in self.modalities:
            check_modality(modality)
        if self.size < 8 or self.segments < 1 or not self.modalities:
            raise ConfigError(
                f"size {self.size}, segments {self.segments}, modalities {self.modalities}: give "
                "a size of at least 8, at least 1 segment and 1 modality"
            )

    def load(self, clip: Clip, views: Sequence[int]) -> dict[str, torch.Tensor]:
        """Load several views of a clip in one decoding pass.

        Args:
            clip: the clip.
            views: numbers of the views; without ``train`` all are the same.

        Returns:
            For each modality uint8 (V, S, C, size, size) in the integer stage of spec 1.4.

        Raises:
            VideoError: the file cannot be used.
        """
        sample = partial(self._sample, clip.id, views)
        raw = load_clip(clip.path, modalities=self.modalities, sample=sample)
        result = {}
        for modality, values in raw.items():
            x = torch.from_numpy(to_bytes(values, modality)).permute(0, 3, 1, 2)
            parts = zip(x.split(self.segments), views, strict=True)
            windows = [self._window(part, clip.id, view, modality) for part, view in parts]
            result[modality] = torch.stack(windows)
        return result

    def _sample(
        self, clip: str, views: Sequence[int], lengths: tuple[int, ...]
    ) -> Mapping[str, Sequence[Position]]:
        def draw(modality: str, view: int) -> list[Position]:
            rng = generator(self.seed, view, clip, modality, "time") if self.train else None
            return segment_positions(lengths, modality, segments=self.segments, rng=rng)

        return {m: [place for view in views for place in draw(m, view)] for m in self.modalities}

    def _window(self, x: torch.Tensor, clip: str, view: int, modality: str) -> torch.Tensor:
        if not self.train:
            return centre_view(x, size=self.size)
        owner, scales = ("all", SHARED_SCALES) if self.shared_crop else (modality, SCALES[modality])
        rng = generator(self.seed, view, clip, owner, "crop")
        height, width = x.shape[-2:]
        chosen = draw_view(rng, width, height, size=self.size, scales=scales, flip=self.flip)
        window = apply_view(x, chosen, size=self.size, modality=modality)
        if modality not in PICTURES:
            return window
        # Colours that change from frame to frame would be a motion of their own.
        return jitter(window, generator(self.seed, view, clip, "colour"), alike=modality == RGB)


class ClipDataset(Dataset):
    """Items: modality -> uint8 (S, C, size, size), ``label`` (-1 where sealed) and ``index``.

    An item depends on its clip, the seed and the view alone: the same with any number of
    workers and after a resume.  A file that cannot be used raises VideoError; ``bank`` can drop
    it instead.

    Args:
        clips: the clips, in order.
        loader: how they are loaded.
        views: the epoch's view is epoch % views; None draws new views for ever.
    """

    def __init__(
        self, clips: Sequence[Clip], loader: ClipLoader, *, views: int | None = None
    ) -> None:
        if views is not None and (views < 1 or (views > 1 and not loader.train)):
            raise ConfigError(f"views = {views}: at least 1, and just 1 outside training")
        self.clips, self.loader, self.views = tuple(clips), loader, views
        # Shared, so that workers that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the items to come, in running workers too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | int]:
        clip, epoch = self.clips[index], int(self._epoch)
        tensors = self.loader.load(clip, [epoch % self.views if self.views else epoch])
        item = {modality: views[0] for modality, views in tensors.items()}
        return item | {"label": clip.label, "index": index}


@dataclass(frozen=True, kw_only=True)
class ViewBank:
    """All views of all clips in memory, bit-equal to the items of the data set.

    Attributes:
        clips: those that could be loaded.
        labels: int64 (N,), -1 where sealed.
        views: modality -> uint8 (V, N, S, C, size, size).
        dropped: (id, reason) of the others.
    """

    clips: tuple[Clip, ...]
    labels: torch.Tensor
    views: Mapping[str, torch.Tensor]
    dropped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(x.nbytes for x in self.views.values())

    def batch(self, indices: torch.Tensor | Sequence[int], view: int) -> dict[str, torch.Tensor]:
        """Return modality -> uint8 (B, S, C, size, size); views repeat after the last."""
        chosen = torch.as_tensor(indices)
        return {m: x[view % x.shape[0]].index_select(0, chosen) for m, x in self.views.items()}


def bank(
    dataset: ClipDataset,
    *,
    workers: int = 0,
    on_bad: str = "raise",
    progress: Progress | None = None,
) -> ViewBank:
    """Decode all views of a data set once: its ``views``, or 1 outside training.

    Args:
        dataset: what to load.
        workers: processes; 0 works in this one.
        on_bad: ``raise`` at a clip that fails to decode, or ``drop`` and list it.
        progress: called with (done, total) clips.

    Raises:
        ConfigError: the data set draws new views for ever, or an unknown ``on_bad``.
        VideoError: a clip failed, or no clip is left.
    """
    loader = dataset.loader
    count = dataset.views or (0 if loader.train else 1)
    if not count or on_bad not in ("raise", "drop"):
        raise ConfigError(
            f"bank of a data set with views = {dataset.views}, on_bad = {on_bad!r}: give it views "
            "and 'raise' or 'drop'"
        )
    load = partial(_load, loader, range(count), on_bad == "drop")
    held: dict[str, torch.Tensor] = {}
    kept, dropped = [], []
    results = spread(load, dataset.clips, workers=workers, progress=progress)
    for clip, result in zip(dataset.clips, results, strict=True):
        if isinstance(result, str):
            dropped.append((clip.id, result))
            continue
        for modality, array in result.items():
            if modality not in held:
                shape = array.shape[0], len(dataset), *array.shape[1:]
                held[modality] = torch.empty(shape, dtype=torch.uint8)
            held[modality][:, len(kept)] = torch.from_numpy(array)
        kept.append(clip)
    if not kept:
        raise VideoError(f"none of {len(dataset)} clips could be loaded; first: {dropped[:1]}")
    labels = torch.tensor([clip.label for clip in kept])
    tensors = {modality: x[:, : len(kept)] for modality, x in held.items()}
    return ViewBank(clips=tuple(kept), labels=labels, views=tensors, dropped=tuple(dropped))


def _load(
    loader: ClipLoader, views: Sequence[int], drop: bool, clip: Clip
) -> dict[str, np.ndarray] | str:
    # Arrays, not tensors: those would travel as open files, and there are too few of them.
    try:
        return {m: x.numpy() for m, x in loader.load(clip, views).items()}
    except VideoError as error:
        if not drop:
            raise
        return str(error)
